"""What the dialog offers: versions a page at a time, those that are not allowed with the reason, and hosts."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Q, QuerySet

from access.callers import Caller
from asset import tenancy
from asset.models import Asset
from messages.rendering import render
from microservice.deployments import promotion, reverts
from microservice.deployments.destinations import allowed_destinations, refusal_reason
from microservice.deployments.environments import Place, places_of, places_of_hosts
from microservice.deployments.placement import on_closed_host
from microservice.deployments.targets import TargetSelection
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.status import MAY_CHANGE_VERSION, Action
from runtime.ids import parse_id

from .paging import Page, by_key, newest_first
from .services import came_from, found, unavailable_reason, with_names

ALLOWED, GREYED, HOSTS = 30, 20, 50
_SHOWN = ("version", "ref", "created", "status", "bad", "bad_reason", "image", "image_tag", "microservice_id")


@dataclass(slots=True)
class Offer:
    """Versions to go to, newest first; `chosen` stands above them where it is not among them."""

    allowed: Page
    total: int = 0
    held_up: int = 0  # of those on the page: what may not go to the environment yet
    chosen: MicroServiceVersion | None = None
    greyed: list[tuple[MicroServiceVersion, str]] = field(default_factory=list)
    more_greyed: bool = False
    any_bad: bool = False

    @property
    def eligible(self) -> int:
        return self.total - self.held_up


@dataclass(frozen=True, slots=True)
class Destinations:
    """The versions of a service, seen from the one that runs and by an action; `place`: for hosts there."""

    version: MicroServiceVersion
    action: Action
    allow_bad: bool = False
    place: Place | None = None

    def all(self) -> QuerySet[MicroServiceVersion]:
        return MicroServiceVersion.objects.filter(microservice=self.version.microservice_id).only(*_SHOWN)

    def allowed(self) -> QuerySet[MicroServiceVersion]:
        return self.all().filter(allowed_destinations(self.version, self.action, self.allow_bad))

    def held_up(self, rows: Iterable[MicroServiceVersion]) -> dict[int, str]:
        """Return why those of these versions (ids) that may not go to the environment yet may not."""
        if self.place is None or self.action == Action.REVERT:
            return {}
        missing = promotion.held_up(self.place.environment, rows)
        return {number: render(message) for number, message in missing.items()}


def best_destination(version: MicroServiceVersion, action: Action, place: Place | None = None) -> int | None:
    """Return the default: the version that most instances came from for a revert, else the newest that is good and may
    go to the environment, of the newest few."""
    of = Destinations(version, action, place=place)
    good = of.allowed()
    if action == Action.REVERT:
        before = came_from(version.microservice, version)
        if before and good.filter(pk=before).exists():
            return before
    newest = list(good.order_by("-pk")[:ALLOWED])
    missing = of.held_up(newest)
    return next((row.pk for row in newest if row.pk not in missing), newest[0].pk if newest else None)


def offer(of: Destinations, chosen: str | None, find: str = "", after: str = "") -> Offer:
    """Return a page of versions; `find` is a part of a name, a branch or a note. A fixed number of queries."""
    rows, named = of.allowed(), Q()
    if find:
        named = Q(version__icontains=find) | Q(ref__icontains=find) | Q(description__icontains=find)
    offered = Offer(newest_first(rows.filter(named), after, ALLOWED))
    if not after:
        offered.total = rows.filter(named).count()
        number = parse_id(chosen) or 0
        if number and all(row.pk != number for row in offered.allowed):
            offered.chosen = rows.filter(pk=number).first()
        offered.any_bad = of.all().filter(bad=True).exists()
    shown = [*offered.allowed, *([offered.chosen] if offered.chosen else [])]
    missing = of.held_up(shown)
    for row in shown:
        row.held_up = missing.get(row.pk, "")
    offered.held_up = len(missing.keys() & {row.pk for row in offered.allowed})
    if not offered.allowed.next:  # below all that are allowed
        allowed = allowed_destinations(of.version, of.action, of.allow_bad)
        refused = list(of.all().filter(named).exclude(allowed).order_by("-pk")[: GREYED + 1])
        offered.more_greyed = len(refused) > GREYED
        offered.greyed = [(row, _refusal(of, row)) for row in refused[:GREYED]]
    return offered


def _refusal(of: Destinations, row: MicroServiceVersion) -> str:
    reason = refusal_reason(of.version, row, of.action, of.allow_bad)
    return render(reason) if reason else ""


Picks = tuple[list[tuple[MicroServiceInstance, str]], str]


@dataclass(frozen=True, slots=True)
class Picked:
    """Of a list of hosts: those that are ticked (ids), what was searched for, and the cursor of the page; `place`: only
    of this environment."""

    ticked: list[str]
    find: str = ""
    after: str = ""
    place: Place | None = None


def places(of: MicroServiceVersion) -> list[Place]:
    """Return the environments in which a version runs."""
    return places_of(MicroServiceInstance.objects.filter(microservice=of.microservice_id, version=of))


def places_of_service(service: MicroService) -> list[Place]:
    """Return the environments in which a service is installed."""
    return places_of(MicroServiceInstance.objects.filter(microservice=service, version__isnull=False))


def places_of_revert(origin: Deployment) -> list[Place]:
    """Return the environments of what a deployment changed."""
    return places_of(reverts.revertible(origin).selected())


def places_to_install(caller: Caller) -> list[Place]:
    """Return the environments of the hosts that the caller sees."""
    return places_of_hosts(Asset.objects.filter(tenancy.visible(caller)))


def hosts(version: MicroServiceVersion, picked: Picked) -> Picks:
    """Return the instances that run a version, those on ticked hosts first, each with why it cannot go now; and the
    cursor of the next ones."""
    service = version.microservice
    selection = TargetSelection(service, MAY_CHANGE_VERSION, version, closed=on_closed_host(service))
    return _picks(selection, with_names(service).filter(version=version), picked)


def hosts_without(version: MicroServiceVersion, picked: Picked) -> Picks:
    """Return the same of the instances that run another version than this one."""
    service = version.microservice
    selection = TargetSelection(service, MAY_CHANGE_VERSION, destination=version, closed=on_closed_host(service))
    rows = with_names(service).filter(version__isnull=False).exclude(version=version)
    return _picks(selection, rows, picked)


def revertible_hosts(origin: Deployment, picked: Picked) -> Picks:
    """Return the same of the instances that a deployment changed."""
    selection = reverts.revertible(origin)
    return _picks(selection, with_names(origin.microservice).filter(selection.scope), picked)


def _picks(selection: TargetSelection, of: QuerySet[MicroServiceInstance], picked: Picked) -> Picks:
    rows = selection.with_closed(of.filter(picked.place.instances) if picked.place else of)
    ids = [number for host in picked.ticked[:1000] if (number := parse_id(host))]
    others = rows.exclude(host__in=ids) if ids else rows
    if picked.find:
        others = others.filter(found(picked.find))
    page = by_key(others, "host__hostname", picked.after, HOSTS)
    first = list(rows.filter(host__in=ids).order_by("host__hostname")) if ids and not picked.after else []
    return [(row, unavailable_reason(row, selection)) for row in [*first, *page]], page.next
