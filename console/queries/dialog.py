"""What the dialog offers: versions a page at a time, those that are not allowed with the reason, and hosts."""

from dataclasses import dataclass, field

from django.db.models import Q, QuerySet

from microservice.deployments.destinations import allowed, why_not_to
from microservice.deployments.placement import kept_out
from microservice.deployments.targets import Wish, with_places
from microservice.models import MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.status import MAY_CHANGE_VERSION, Action

from .paging import Page, by_key, newest_first
from .services import came_from, why_not_now, with_names

ALLOWED, GREYED, BETWEEN, HOSTS = 30, 20, 8, 50
_SHOWN = ("version", "ref", "created", "status", "bad", "bad_reason", "microservice_id")


@dataclass(slots=True)
class Offer:
    """Versions to go to, newest first; `chosen` stands above them where it is not among them."""

    allowed: Page
    total: int = 0
    chosen: MicroServiceVersion | None = None
    greyed: list[tuple[MicroServiceVersion, str]] = field(default_factory=list)
    more_greyed: bool = False
    any_bad: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """From which version, by which action."""

    version: MicroServiceVersion
    action: Action
    allow_bad: bool = False

    def all(self) -> QuerySet[MicroServiceVersion]:
        return MicroServiceVersion.objects.filter(microservice=self.version.microservice_id).only(*_SHOWN)

    def open(self) -> QuerySet[MicroServiceVersion]:
        return self.all().filter(allowed(self.version, self.action, self.allow_bad))


def best(way: Way) -> int | None:
    """What to go to when nothing was chosen: back to where most came from, else the newest that is good."""
    good = Way(way.version, way.action).open()
    if way.action == Action.REVERT:
        before = came_from(way.version.microservice, way.version)
        if before and good.filter(pk=before).exists():
            return before
    return good.order_by("-pk").values_list("pk", flat=True).first()


def offer(way: Way, dest: str = "", find: str = "", after: str = "") -> Offer:
    """A page of versions; `find` is a part of a name, a branch or a note. A fixed number of queries."""
    rows, named = way.open(), Q()
    if find:
        named = Q(version__icontains=find) | Q(ref__icontains=find) | Q(description__icontains=find)
    found = Offer(newest_first(rows.filter(named), after, ALLOWED))
    if not after:
        found.total = rows.filter(named).count()
        wanted = int(dest) if dest.isascii() and dest.isdigit() and len(dest) < 19 else 0
        if wanted and all(row.pk != wanted for row in found.allowed):
            found.chosen = rows.filter(pk=wanted).first()
        found.any_bad = way.all().filter(bad=True).exists()
    if not found.allowed.next:  # they stand below all that is possible
        shut = way.all().filter(named).exclude(allowed(way.version, way.action, way.allow_bad)).order_by("-pk")
        refused = list(shut[: GREYED + 1])
        found.more_greyed = len(refused) > GREYED
        found.greyed = [(row, why_not_to(way.version, row, way.action, way.allow_bad)) for row in refused[:GREYED]]
    return found


def between(service: MicroService, first: int, last: int) -> tuple[int, list[MicroServiceVersion]]:
    """How many versions lie after one and up to the other, and the newest of them, with their notes. Two queries."""
    rows = MicroServiceVersion.objects.filter(microservice=service, pk__gt=min(first, last), pk__lte=max(first, last))
    return rows.count(), list(rows.order_by("-pk")[:BETWEEN])


def hosts(
    of: MicroService, version: MicroServiceVersion, ticked: list[str], after: str = ""
) -> tuple[list[tuple[MicroServiceInstance, str]], str]:
    """The instances that run a version, those on ticked hosts (ids) first, each with why it cannot go now; and where
    to go on."""
    wish = Wish(of, MAY_CHANGE_VERSION, version, kept_out=kept_out(of))
    rows = with_places(with_names(of).filter(version=version), wish)
    mine = [int(one) for one in ticked[:1000] if one.isascii() and one.isdigit() and len(one) < 19]
    page = by_key(rows.exclude(host__in=mine) if mine else rows, "host__hostname", after, HOSTS)
    first = list(rows.filter(host__in=mine).order_by("host__hostname")) if mine and not after else []
    return [(row, why_not_now(row, wish)) for row in [*first, *page]], page.next
