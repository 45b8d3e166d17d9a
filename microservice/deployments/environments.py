"""Which environment a request is within: a deployment never goes beyond one.

A request names its environment, or its targets are all in the same one, or in none. The environment that is found when
a request is looked up is compared once more when its targets are locked (`refuse_moved`): from then on none of their
hosts changes its own (asset/environments.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db.models import Q, QuerySet

from access.problems import FieldError, Problem, invalid, refused
from asset import environments
from asset.models import Asset, Environment
from messages import Message
from runtime.sql import among

from ..models import Deployment, MicroServiceInstance
from .refusals import refused_targets
from .targets import TargetSelection

MAX_NAMED = 20  # hosts in one refusal


@dataclass(frozen=True, slots=True)
class Place:
    """An environment, or what is in none (None)."""

    environment: Environment | None

    @property
    def instances(self) -> Q:
        """Match the instances whose host is here."""
        return Q(host__in=Asset.every.filter(environment=self.environment).values("pk"))

    @property
    def elsewhere(self) -> Q:
        """Match the instances or operations whose host is not here."""
        return Q(host__in=Asset.every.exclude(environment=self.environment).values("pk"))

    @property
    def number(self) -> int:
        """The environment's id; 0 for none."""
        return self.environment.pk if self.environment else 0

    @property
    def name(self) -> Message | str:
        return self.environment.name if self.environment else Message("no_environment")


def find_place(named: int | str | None) -> Place | None:
    """Return what a request names: an environment by id or name, "" or 0 for what is in none; None where it names none.

    Raise Problem 422 where there is no such environment.
    """
    if named is None:
        return None
    if str(named) in ("", environments.NONE):
        return Place(None)
    environment = environments.find(named)
    if environment is None:
        raise invalid("/environment", "no_such_environment")
    return Place(environment)


def stay_within(selection: TargetSelection, named: int | str | None) -> tuple[TargetSelection, Environment | None]:
    """Return the selection within one environment, and that environment. Three queries at most; one if there is none.

    Raise Problem 422 where named targets are in another environment than the request names (`wrong_target`), and where
    it names none and its targets are in several (`wrong_target`; `invalid` at `/environment` if they are not named).
    """
    place = find_place(named)
    rows = selection.addressed()
    if place is None:
        return selection, only_place(places_of(rows), selection.pointer if selection.is_named else "").environment
    if not selection.is_named:
        return replace(selection, scope=selection.scope & place.instances), place.environment
    others = rows.filter(place.elsewhere).select_related("host__environment").order_by("pk")[:MAX_NAMED]
    if others:
        raise refused_targets([_other(selection.pointer, row.host, place, row.pk) for row in others])
    return selection, place.environment


def environment_of(hosts: Sequence[int], place: Place | None, is_named: bool) -> Environment | None:
    """Return the environment of all of these hosts (ids). Raise the same Problems.

    `place`: what the request names. `is_named`: so are the hosts, which were not chosen by their labels.
    """
    rows = Asset.objects.filter(pk__in=among(hosts))
    if place is None:
        return only_place(places_of_hosts(rows), "/host" if is_named else "").environment
    others = rows.exclude(environment=place.environment).select_related("environment").order_by("pk")[:MAX_NAMED]
    if others:
        raise refused_targets([_other("/host", host, place) for host in others])
    return place.environment


def places_of(rows: QuerySet[MicroServiceInstance]) -> list[Place]:
    """Return where these instances are, in the order of the environments; none last. Two queries at most."""
    return places_of_hosts(Asset.every.filter(pk__in=rows.order_by().values("host")))


def places_of_hosts(hosts: QuerySet[Asset]) -> list[Place]:
    """Return the same of hosts."""
    known = hosts.filter(environment__isnull=False).values("environment")
    found = [Place(row) for row in Environment.objects.filter(pk__in=known)]
    if not found:
        return [Place(None)]
    return [*found, Place(None)] if hosts.filter(environment=None).exists() else found


def refuse_moved(deployment: Deployment) -> None:
    """Raise Problem 409 where a locked target is not in the deployment's environment: it was moved since the look-up.

    Call in the transaction that locked them, after it did. A move locks the same rows before it reads whether they are
    locked, so it is refused or seen here.
    """
    held = MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True)
    if held.filter(Place(deployment.environment).elsewhere).exists():
        raise moved()


def refuse_moved_hosts(deployment: Deployment, hosts: Sequence[int]) -> None:
    """Raise the same for the hosts (ids) of an install, whose rows are held (placement.hold)."""
    rows = Asset.every.filter(pk__in=among(hosts))
    if rows.exclude(environment=deployment.environment_id).exists():
        raise moved()


def moved() -> Problem:
    return refused("concurrent_update.environment")


def only_place(places: Sequence[Place], pointer: str = "") -> Place:
    """Return the only place. `pointer`: to what names the targets; "" where the environment is to be named."""
    if len(places) > 1:
        names = [place.name for place in places]
        if pointer:
            raise invalid(pointer, "several_environments", "wrong_target", names=names)
        raise invalid("/environment", "environment_required", names=names)
    return places[0] if places else Place(None)


def _other(pointer: str, host: Asset, place: Place, instance: int | None = None) -> FieldError:
    where = Place(host.environment).name
    ids = {"host_id": host.pk, "instance_id": instance}
    return FieldError(
        pointer, "wrong_target.other_environment", ids, host=host.hostname, environment=where, wanted=place.name
    )
