"""What the file of each list has: its columns, each with how its value is read from the rows of the list's query."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from operator import attrgetter
from typing import Any

from builds.models import Build
from messages.rendering import render
from microservice.models import MicroServiceInstance, MicroServiceVersion
from microservice.operation_errors import error_of
from microservice.status import BuildStatus, InstanceStatus

from .csv_lists import Table
from .queries.fleet import NOWHERE, Counts
from .queries.fleet_matrix import Column

Read = Callable[[Any], Any]


def _same(*names: str) -> dict[str, Read]:
    """Return columns that are attributes of the row with the same name; a related row by its text."""
    return {name: attrgetter(name) for name in names}


def _of_deployment(*names: str) -> dict[str, Read]:
    """Return columns that are attributes of the row's deployment with the same name."""
    return {name: attrgetter(f"deployment.{name}") for name in names}


def _build_status(row: MicroServiceVersion | Build) -> str:
    return str(BuildStatus(row.status).label)


def _running(row: Counts) -> list[str]:
    return [f"{one.version or '-'} ({one.count})" for one in row.versions]


def _running_in(place: int) -> Read:
    """Return how the versions in an environment (its id) are read, with the number of their instances."""
    return lambda row: _running(row.cells[place]) if place in row.cells else ""


def _ready_for(place: int) -> Read:
    """Return how the version is read that is ready to be promoted there."""
    return lambda row: row.cells[place].candidate.ready if place in row.cells else ""


def _held_by(row: MicroServiceInstance) -> int | None:
    return row.lock_deployment_id if row.locked else None


def _after(name: str) -> Read:
    """Return how a value is read that the history keeps of a change."""
    return lambda row: (row.after or {}).get(name)


FLEET = Table(
    "services",
    {
        "service": lambda row: row.service.name,
        "description": lambda row: row.service.description,
        "language": lambda row: row.service.language,
        "versions": _running,
        "instances": lambda row: row.total,
        **_same("failed", "locked", "maintenance"),
        "deployments": lambda row: [one.pk for one in row.deployments],
    },
)


def fleet(columns: Iterable[Column]) -> Table:
    """Return the table of services, with what runs in each environment."""
    cells: dict[str, Read] = {}
    for environment in columns:
        if environment is None:
            cells["in no environment"] = _running_in(NOWHERE)
            continue
        cells[f"in {environment.name}"] = _running_in(environment.pk)
        if environment.requires_id:
            cells[f"ready for {environment.name}"] = _ready_for(environment.pk)
    return replace(FLEET, columns={**FLEET.columns, **cells})


VERSIONS = Table(
    "versions",
    {
        "id": lambda row: row.pk,
        **_same("version", "ref"),
        "status": _build_status,
        "build_detail": lambda row: row.build_reason,
        **_same("description", "bad", "bad_reason", "image", "image_tag", "size", "sha256", "created", "created_by"),
        "instances": lambda row: row.running,
    },
)
INSTANCES = Table(
    "instances",
    {
        "id": lambda row: row.pk,
        "service": lambda row: row.microservice.name,
        "host": lambda row: row.host.hostname,
        "ip": lambda row: row.host.ip,
        "environment": lambda row: row.host.environment,
        **_same("version"),
        "status": lambda row: str(InstanceStatus(row.status).label),
        "is_maintain": lambda row: row.is_maintain,
        "locked": lambda row: row.locked,
        "locked_by": _held_by,
        **_same("locked_since", "port", "weight", "tag", "description", "updated", "updated_by"),
    },
)
DEPLOYMENTS = Table(
    "deployments",
    {
        "id": lambda row: row.pk,
        "service": lambda row: row.microservice.name,
        **_same("environment", "action", "from_version", "dest_version", "status"),
        "hosts": lambda row: row.total,
        "done": lambda row: row.done,
        "counts": lambda row: row.by_status,
        **_same("requested_by", "note", "created", "started", "finished"),
    },
)
TRAINS = Table(
    "trains",
    {
        "id": lambda row: row.pk,
        "name": lambda row: row.train.name,
        "environment": lambda row: row.train.environment_name,
        "status": lambda row: row.train.status,
        "reason": lambda row: render(row.train.reason) if row.train.reason else "",
        "stages": lambda row: [
            "; ".join(f"{one.part.service.name} {one.part.version.version} ({one.status.label})" for one in stage)
            for stage in row.stages
        ],
        "requested_by": lambda row: row.train.requested_by,
        "note": lambda row: row.train.note,
        "created": lambda row: row.train.created,
        "finished": lambda row: row.train.finished,
    },
)
WAITING = Table(
    "waiting",
    {
        "id": lambda row: row.pk,
        "service": lambda row: row.deployment.microservice.name,
        **_of_deployment("environment", "action", "from_version", "dest_version", "requested_by", "note", "created"),
        "hosts": lambda row: row.targets,
        "for_me": lambda row: row.mine,
        "waits_for": lambda row: [render(reason.message) for reason in row.reasons],
        "approved_by": lambda row: [one.name for one in row.said],
        "start_at": lambda row: row.request.start_at,
        "expires": lambda row: row.request.expires,
    },
)
OPERATIONS = Table(
    "operations",
    {
        "id": lambda row: row.pk,
        "host": lambda row: row.host.hostname,
        "ip": lambda row: row.host.ip,
        **_same("action", "from_version", "dest_version", "status", "undo_status", "attempt", "error_step"),
        "error": lambda row: render(error) if (error := error_of(row)) else "",
        **_same("cause", "started", "finished"),
    },
)
BUILDS = Table(
    "builds",
    {
        "id": lambda row: row.pk,
        "service": lambda row: row.microservice.name,
        "version": lambda row: row.version.version,
        "ref": lambda row: row.version.ref,
        "status": _build_status,
        "detail": lambda row: row.reason,
        **_same("origin", "commit", "reference", "url", "requested_by", "created", "started", "finished"),
    },
)
HOSTS = Table(
    "hosts",
    {
        "id": lambda row: row.pk,
        **_same("hostname", "ip", "port", "username", "credential"),
        "teams": lambda row: [team.name for team in row.teams.all()],
        **_same("environment", "labels", "description", "base_path", "reachable", "last_contact", "last_error"),
        "trusted": lambda row: bool(row.host_key),
        "key_changed": lambda row: bool(row.host_key and row.offered_key),
        "services": lambda row: row.running,
        "failed": lambda row: row.wrong,
        **_same("archived"),
    },
)
HOST_GROUPS = Table("host-groups", {"id": attrgetter("pk"), **_same("name", "labels", "description", "hosts")})
ENVIRONMENTS = Table(
    "environments",
    {
        "id": attrgetter("pk"),
        **_same("name", "position", "colour", "description", "requires", "soak_minutes"),
        **_same("approvals", "approvers", "approve_reverts", "tokens_deploy", "wait_hours", "default_strategy"),
        "hosts": lambda row: row.count,
    },
)
FREEZES = Table(
    "freezes",
    {
        "id": lambda row: row.freeze.pk,
        "name": lambda row: row.freeze.name,
        "reason": lambda row: row.freeze.reason,
        "everywhere": lambda row: row.freeze.everywhere,
        **_same("environments"),
        "start": lambda row: row.freeze.start,
        "end": lambda row: row.freeze.end,
        "recurrence": lambda row: row.freeze.recurrence,
        "time_zone": lambda row: row.freeze.time_zone,
        "allow_reverts": lambda row: row.freeze.allow_reverts,
        "in_force": lambda row: row.now,
        "next_start": lambda row: row.next[0].start if row.next else None,
        "next_end": lambda row: row.next[0].end if row.next else None,
    },
)
CALENDAR = Table(
    "calendar",
    {
        **_same("day"),
        "start": lambda row: row.at,
        **_same("end"),
        "freeze": lambda row: row.freeze.name if row.freeze else "",
        "deployment": lambda row: row.request.deployment_id if row.request else None,
        "service": lambda row: row.request.deployment.microservice.name if row.request else "",
    },
)
CREDENTIALS = Table(
    "credentials",
    {
        "id": lambda row: row.pk,
        **_same("name", "kind"),
        "hosts": lambda row: row.used,
        **_same("updated", "updated_by"),
    },
)
TOKENS = Table(
    "tokens",
    {
        "id": lambda row: row.pk,
        **_same("name", "hint", "scopes"),
        "services": lambda row: row.service_names,
        "user": lambda row: row.user.get_username(),
        **_same("created", "last_used", "expires"),
    },
)
PEOPLE = Table(
    "users",
    {
        "id": lambda row: row.pk,
        **_same("username", "first_name", "last_name", "email"),
        "admin": lambda row: row.is_superuser,
        "active": lambda row: row.is_active,
        "teams": lambda row: [f"{one.team.name} ({one.role})" for one in row.memberships.all()],
        "tokens": lambda row: row.tokens,
        "last_login": lambda row: row.last_login,
    },
)
SESSIONS = Table("sessions", {"id": attrgetter("pk"), **_same("agent", "address", "created", "seen")})
SIGN_INS = Table(
    "sign-ins",
    {
        **_same("created", "action", "address"),
        **{name: _after(name) for name in ("agent", "failed", "refused")},
    },
)
SAVED_FILTERS = Table("saved-filters", _same("name", "page", "query"))
MEMBERS = Table(
    "members",
    {
        "user": lambda row: row.user.get_username(),
        **_same("role"),
        "active": lambda row: row.user.is_active,
    },
)
TEAM_SERVICES = Table("team-services", {"id": attrgetter("pk"), **_same("name", "description")})
SECRETS = Table("secrets", _same("of", "name", "changed"))
TEAMS = Table("teams", {"id": lambda row: row.pk, **_same("name", "members"), "services": lambda row: row.owned})
CALLBACKS = Table(
    "callbacks",
    {"id": lambda row: row.pk, **_same("url", "events", "active", "last_state", "last_sent", "waiting", "created_by")},
)
BUILD_CALLBACKS = Table(
    "build-callbacks",
    {
        "id": lambda row: row.pk,
        "server": lambda row: row.server,
        "service": lambda row: row.build.version.microservice.name if row.build else "",
        "version": lambda row: row.build.version.version if row.build else "",
        **_same("last_state", "last_sent", "created", "created_by"),
    },
)
DELIVERIES = Table(
    "deliveries",
    {
        "id": lambda row: row.pk,
        **_same("event", "state", "attempts", "answer_status", "took", "error", "created", "sent"),
    },
)
WORKERS = Table("workers", _same("worker", "seen", "slots", "without_broker"))
TASKS = Table("tasks", _same("task_id", "task_name", "status", "worker", "date_created", "date_done"))
REVISIONS = Table(
    "settings-history",
    {
        "id": lambda row: row.pk,
        **_same("created", "created_by", "reason", "changed"),
        "restored": lambda row: row.restored_id,
    },
)
HISTORY = Table(
    "history",
    {
        "id": lambda row: row.pk,
        **_same("created", "actor"),
        "token": lambda row: row.token_name,
        **_same("address", "action", "subject", "subject_id", "subject_name"),
        "service": lambda row: row.microservice.name if row.microservice else "",
        **_same("before", "after", "reason"),
    },
)
VERSION_CHANGES = Table(
    "version-changes",
    {
        "service": lambda row: row.service,
        "versions": lambda row: " -> ".join(one or "not installed" for one in row.versions),
        **_same("hosts", "deployments", "actors", "last"),
    },
)
