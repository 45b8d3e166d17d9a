"""The history: who did what, and which versions changed between two times."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from access.callers import Caller
from access.models import Token
from asset import tenancy
from asset.models import Asset, Credential, Environment
from audit.models import History
from microservice.catalog import visibility
from microservice.models import MicroService, Operation
from microservice.status import OperationStatus

from .paging import PAGE, Page, newest_first

ACTIONS = (
    "create",
    "change",
    "delete",
    "import",
    "trust",
    "publish",
    "build",
    "install",
    "upgrade",
    "revert",
    "retry",
    "ask",
    "approve",
    "reject",
    "override",
    "reschedule",
    "move",
    "expire",
    "pause",
    "resume",
    "cancel",
    "unlock",
    "forget",
    "give_up",
    "archive",
    "unarchive",
    "restore",
    "redeliver",
    "sign_in",
    "sign_out",
    "sign_in_failed",
    "end_sessions",
    "first_use",
)  # to filter by, in the order of the menu
# Fields that hold ids, with the rows that they are the ids of.
NAMED: dict[str, Callable[[Caller], QuerySet[Any]]] = {
    "credential_id": lambda caller: Credential.objects.only("name"),
    "environment_id": lambda caller: Environment.objects.only("name"),
    "jump_host_id": lambda caller: Asset.every.filter(tenancy.visible(caller)).only("hostname", "ip"),
    "requires_id": lambda caller: Environment.objects.only("name"),
    "parent": lambda caller: Token.objects.only("name"),
    "services": lambda caller: MicroService.objects.filter(visibility.visible(caller)).only("name"),
    "user_id": lambda caller: User.objects.only("username"),
}
MAX_IDS = 500  # looked up for one page
MAX_OPERATIONS = 5000  # read for one page
MAX_NAMED = 12  # hosts of a group shown at once; the others on demand


def history(
    caller: Caller,
    filters: dict[str, str],
    since: datetime | None,
    until: datetime | None,
    after: str = "",
    size: int = PAGE,
) -> Page:
    """Return rows, newest first. `filters`: actor, action, service, q (part of the subject's name)."""
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
    page = newest_first(rows, after, size)
    visibility.redact(caller, page.rows)
    return page


def names_in(caller: Caller, rows: list[History]) -> dict[tuple[str, int], str]:
    """Return {(field, id): name} of what the rows name by ids, if the caller may see it. Seven queries at most."""
    ids: dict[str, set[int]] = defaultdict(set)
    for values in (values for row in rows for values in (row.before, row.after) if isinstance(values, dict)):
        for name in NAMED.keys() & values.keys():
            value = values[name]
            ids[name].update(one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int))
    found: dict[tuple[str, int], str] = {}
    for name, numbers in ids.items():
        every = NAMED[name](caller).filter(pk__in=list(numbers)[:MAX_IDS])
        found |= {(name, row.pk): str(row) for row in every}
    return found


@dataclass(slots=True)
class VersionPath:
    """Instances of one service with the same sequence of versions ("": not installed): on which hosts, by whom."""

    service: str
    versions: tuple[str, ...]
    hosts: list[str] = field(default_factory=list)
    deployments: list[int] = field(default_factory=list)
    actors: list[str] = field(default_factory=list)
    last: datetime | None = None

    @property
    def is_back(self) -> bool:
        return self.versions[0] == self.versions[-1]


@dataclass(slots=True)
class _Path:
    versions: list[str]
    deployments: dict[int, str]
    last: datetime


@dataclass(slots=True)
class VersionChanges:
    groups: list[VersionPath]
    instances: int
    more: bool  # whether there are more operations than one page reads


def version_changes(caller: Caller, since: datetime, until: datetime, service: str = "") -> VersionChanges:
    """Return the instances whose version changed in that time, of all services or of one. One query.

    An instance is identified by service and host, so that one that was deleted and installed again is one line.
    """
    # Deployments first: they are few, and operations have no index for their end.
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
    operations = list(
        rows.order_by("finished", "pk").values_list(
            "deployment__microservice__name",
            "host__hostname",
            "from_version__version",
            "dest_version__version",
            "deployment",
            "deployment__requested_by",
            "finished",
        )[: MAX_OPERATIONS + 1]
    )
    paths: dict[tuple[str, str], _Path] = {}
    for name, host, old, new, deployment, actor, ended in operations[:MAX_OPERATIONS]:
        finished = ended or until
        path = paths.setdefault((name, host), _Path([old or ""], {}, finished))
        if path.versions[-1] != (new or ""):
            path.versions.append(new or "")
        path.deployments[deployment], path.last = actor, finished
    changed = {key: path for key, path in paths.items() if len(path.versions) > 1}
    return VersionChanges(_grouped(changed), len(changed), len(operations) > MAX_OPERATIONS)


def _grouped(paths: dict[tuple[str, str], _Path]) -> list[VersionPath]:
    groups: dict[tuple[str, tuple[str, ...]], VersionPath] = {}
    actors: dict[tuple[str, tuple[str, ...]], dict[int, str]] = defaultdict(dict)
    for (service, host), path in sorted(paths.items()):
        key = (service, tuple(path.versions))
        group = groups.setdefault(key, VersionPath(*key))
        group.hosts.append(host)
        group.last = max(group.last or path.last, path.last)
        actors[key].update(path.deployments)
    for key, group in groups.items():
        group.deployments = sorted(actors[key])
        group.actors = sorted(set(actors[key].values()) - {""})
    return list(groups.values())
