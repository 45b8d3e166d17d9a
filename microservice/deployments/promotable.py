"""Which version of a service is ready to be promoted to an environment, for many services at once.

The rule is promotion.lacks; here it is asked of the newest good versions of each service, in a fixed number of queries.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Q, Subquery

from asset.models import Environment

from ..models import MicroService, MicroServiceVersion
from ..status import BuildStatus
from .promotion import Evidence, evidence_everywhere, lacks, soaks_until

NEWEST = 10  # versions of a service that are looked at

Runs = Mapping[tuple[int, int], int]  # (service, environment) → the oldest version that runs there


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may go to an environment next. `ready`: the newest version that may go now. `soaking`: a newer one that may
    go from `until` on."""

    ready: MicroServiceVersion | None = None
    soaking: MicroServiceVersion | None = None
    until: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self.ready or self.soaking)


def candidate(
    environment: Environment, versions: Iterable[MicroServiceVersion], ran: Mapping[int, Evidence], now: datetime
) -> Candidate:
    """Return what may go to an environment that requires another one. Pure.

    `versions`: newest first. `ran`: how those that ran in the other one did.
    """
    soaking, until = None, None
    for version in versions:
        proof = ran.get(version.pk)
        if lacks(environment, version, proof, now) is None:
            return Candidate(version, soaking, until)
        if soaking is None and (clear := soaks_until(environment, version, proof, now)):
            soaking, until = version, clear
    return Candidate(None, soaking, until)


def candidates(environments: Collection[Environment], runs: Runs, now: datetime) -> dict[tuple[int, int], Candidate]:
    """Return what may go next where older versions run, by service and environment; without those of which nothing may.

    `environments`: those that may be asked of, each with what it requires. Three queries; none where nothing that runs
    is in one that requires another.
    """
    asked = {row.pk: row for row in environments if row.requires_id}
    runs = {place: oldest for place, oldest in runs.items() if place[1] in asked}
    if not runs:
        return {}
    newest = _newest({service for service, _ in runs})
    newer = {
        (service, environment): [version for version in newest.get(service, ()) if version.pk > oldest]
        for (service, environment), oldest in runs.items()
    }
    wanted = {version.pk for versions in newer.values() for version in versions}
    required = {row.requires_id for row in asked.values() if row.requires_id}
    ran: dict[int, dict[int, Evidence]] = {}
    for (environment, version), proof in evidence_everywhere(required, wanted, now).items() if wanted else ():
        ran.setdefault(environment, {})[version] = proof
    found = {
        (service, environment): candidate(
            asked[environment], versions, ran.get(asked[environment].requires_id or 0, {}), now
        )
        for (service, environment), versions in newer.items()
    }
    return {place: one for place, one in found.items() if one}


def _newest(services: Collection[int]) -> dict[int, Sequence[MicroServiceVersion]]:
    """Return the newest good versions of each service, newest first. Two queries."""
    good = MicroServiceVersion.objects.filter(status=BuildStatus.SUCCESS, bad=False)
    of_service = good.filter(microservice=OuterRef("pk")).order_by("-pk").values("pk")
    floors = MicroService.objects.filter(pk__in=services).annotate(
        oldest=Subquery(of_service[NEWEST - 1 : NEWEST]), newest=Subquery(of_service[:1])
    )
    among = Q()
    for service, oldest, newest in floors.order_by().values_list("pk", "oldest", "newest"):
        if newest:
            among |= Q(microservice=service, pk__gte=oldest or 0)
    found: dict[int, list[MicroServiceVersion]] = {}
    if among:
        for row in good.filter(among).only("version", "bad", "microservice_id").order_by("-pk"):
            found.setdefault(row.microservice_id, []).append(row)
    return {service: tuple(rows[:NEWEST]) for service, rows in found.items()}
