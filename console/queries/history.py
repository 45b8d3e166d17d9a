"""The past: who did what, and which instances moved between two moments."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from access.callers import Caller
from microservice.catalog import visibility
from microservice.models import Operation
from microservice.status import OperationStatus

from .paging import Page, newest_first

MOST = 5000  # operations that one answer looks at
NAMED = 12  # hosts of a group that are shown at once; the others on demand


def history(caller: Caller, filters: dict[str, str], since: datetime | None, until: datetime | None) -> Page:
    """Newest first. `filters`: actor, action, service (whole names), q (a part of what it was done to), after."""
    rows = visibility.history(caller).select_related("microservice")
    if since:
        rows = rows.filter(created__gte=since)
    if until:
        rows = rows.filter(created__lt=until)
    for name in ("actor", "action"):
        if value := filters.get(name):
            rows = rows.filter(**{name: value})
    if service := filters.get("service"):
        rows = rows.filter(Q(microservice__name=service) | Q(subject="service", subject_name=service))
    if q := filters.get("q"):
        rows = rows.filter(subject_name__icontains=q)
    page = newest_first(rows, filters.get("after", ""))
    visibility.redact(caller, page.rows)
    return page


@dataclass(slots=True)
class Move:
    """Instances of one service that went the same way: through which versions ("": not installed), where, by whom."""

    service: str
    versions: tuple[str, ...]
    hosts: list[str] = field(default_factory=list)
    deployments: list[int] = field(default_factory=list)
    actors: list[str] = field(default_factory=list)
    last: datetime | None = None

    @property
    def came_back(self) -> bool:
        return self.versions[0] == self.versions[-1]


@dataclass(slots=True)
class _Path:
    versions: list[str]
    deployments: dict[int, str]
    last: datetime


@dataclass(slots=True)
class Moves:
    groups: list[Move]
    instances: int
    more: bool  # whether there was more than one answer looks at


def moves(caller: Caller, since: datetime, until: datetime, service: str = "") -> Moves:
    """Every instance whose version changed in the time, of all services or of one. One query.

    An instance is told by its service and host, so that one that was deleted and installed again is one line.
    """
    # By deployment first: there are few of them, and operations have no index of their own for the time they ended at.
    in_time = Q(deployment__finished=None) | Q(deployment__finished__gte=since)
    rows = Operation.objects.filter(
        visibility.operations(caller),
        in_time,
        deployment__created__lt=until,
        status=OperationStatus.SUCCEEDED,
        finished__gte=since,
        finished__lt=until,
    )
    if service:
        rows = rows.filter(deployment__microservice__name=service)
    found = list(
        rows.order_by("finished", "pk").values_list(
            "deployment__microservice__name",
            "host__hostname",
            "from_version__version",
            "dest_version__version",
            "deployment",
            "deployment__requested_by",
            "finished",
        )[: MOST + 1]
    )
    paths: dict[tuple[str, str], _Path] = {}
    for name, host, old, new, deployment, actor, ended in found[:MOST]:
        finished = ended or until
        path = paths.setdefault((name, host), _Path([old or ""], {}, finished))
        if path.versions[-1] != (new or ""):
            path.versions.append(new or "")
        path.deployments[deployment], path.last = actor, finished
    moved = {key: path for key, path in paths.items() if len(path.versions) > 1}
    return Moves(_grouped(moved), len(moved), len(found) > MOST)


def _grouped(paths: dict[tuple[str, str], _Path]) -> list[Move]:
    groups: dict[tuple[str, tuple[str, ...]], Move] = {}
    named: dict[tuple[str, tuple[str, ...]], dict[int, str]] = defaultdict(dict)
    for (service, host), path in sorted(paths.items()):
        key = (service, tuple(path.versions))
        move = groups.setdefault(key, Move(*key))
        move.hosts.append(host)
        move.last = max(move.last or path.last, path.last)
        named[key].update(path.deployments)
    for key, move in groups.items():
        move.deployments = sorted(named[key])
        move.actors = sorted(set(named[key].values()) - {""})
    return list(groups.values())
