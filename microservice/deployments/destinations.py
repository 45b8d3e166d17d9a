"""Which versions an upgrade or a revert may go to: successful builds of the same service, newer or older."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from access.callers import Caller
from access.problems import invalid, refused
from messages import Message
from messages.rendering import render
from runtime.ids import parse_id

from ..models import MicroService, MicroServiceVersion
from ..packages.archives import BadArchive
from ..packages.store import ensure_rewritten
from ..status import Action, BuildStatus
from . import promotion
from .environments import find_place
from .version_change import VersionChange


def list_destinations(
    version: MicroServiceVersion, action: Action, environment: str | None = None
) -> list[dict[str, Any]]:
    """Return the successful builds of the version's service, newest first, and whether `action` may go to each, in the
    environment of this name."""
    rows = MicroServiceVersion.objects.filter(microservice=version.microservice_id, status=BuildStatus.SUCCESS)
    found = list(rows.order_by("-pk"))
    place = find_place(environment)
    missing = promotion.held_up(place.environment, found) if place and action != Action.REVERT else {}
    reasons = [(row, refusal_reason(version, row, action) or missing.get(row.pk)) for row in found]
    return [
        {
            "id": row.pk,
            "version": row.version,
            "enable": reason is None,
            "reason": render(reason) if reason else "",
            "created": row.created,
            "ref": row.ref,
            "bad": row.bad,
        }
        for row, reason in reasons
    ]


def refusal_reason(
    version: MicroServiceVersion | None, destination: MicroServiceVersion, action: Action, allow_bad: bool = False
) -> Message | None:
    """Return why `action` may not go from `version` (None: from any) to `destination`; None where it may. Pure."""
    if destination.status != BuildStatus.SUCCESS:
        return Message("build_not_successful", {"status": BuildStatus(destination.status).label})
    if destination.bad and not allow_bad:
        return Message("marked_bad", {"reason": _bad_reason(destination)})
    if version is None:
        return None
    if destination.pk == version.pk:
        return Message("currently_running")
    if (destination.pk > version.pk) != (action == Action.UPGRADE):
        return Message("upgrade_needs_newer" if action == Action.UPGRADE else "revert_needs_older")
    return None


def allowed_destinations(version: MicroServiceVersion, action: Action, allow_bad: bool = False) -> Q:
    """Return the same rule as a condition on the service's versions: those for which `refusal_reason` is None."""
    beyond = Q(pk__gt=version.pk) if action == Action.UPGRADE else Q(pk__lt=version.pk)
    sound = Q(status=BuildStatus.SUCCESS) if allow_bad else Q(status=BuildStatus.SUCCESS, bad=False)
    return sound & beyond


def marked_bad(ids: QuerySet) -> QuerySet[MicroServiceVersion]:
    """Return those of these versions that were marked bad."""
    return MicroServiceVersion.objects.filter(pk__in=ids, bad=True).order_by("pk")


def check_bad(caller: Caller, bad: Iterable[MicroServiceVersion], allow_bad: bool, pointer: str) -> None:
    """Refuse versions that were marked bad, unless a signed-in person allows them explicitly.

    Raise Problem 422 `version_bad` without `allow_bad`, and 403 for a token or automation.
    """
    for version in bad:
        params: dict[str, Any] = {"version": version.version, "bad_reason": _bad_reason(version)}
        if not allow_bad:
            raise invalid(pointer, Message("version_marked_bad", params), "version_bad")
        if not caller.is_person:
            raise refused("forbidden.version_bad", **params)


def find_destination(caller: Caller, change: VersionChange) -> MicroServiceVersion:
    """Return the version that a change goes to. Raise Problem 422, or 403 (`check_bad`)."""
    pointer = "/version" if change.action == Action.DEPLOY else "/dest_version"
    destination = _version(change.service, change.dest_version)
    if destination is None:
        raise invalid(pointer, "not_of_service", service=change.service.name)
    reason = refusal_reason(change.version, destination, change.action, allow_bad=True)
    if reason:
        params = {"version": destination.version, "reason": reason}
        raise invalid(pointer, Message("destination_not_allowed", params))
    check_bad(caller, [destination] if destination.bad else [], change.allow_bad, pointer)
    return require_package(destination, pointer)


def _version(service: MicroService, named: int | str) -> MicroServiceVersion | None:
    """Return a version of the service by its id (a number) or its name; a name of digits alone may be an id as well.

    A version of another service is not told from one that does not exist.
    """
    rows = MicroServiceVersion.objects.filter(microservice=service)
    if isinstance(named, str):
        by_name = rows.filter(version=named).first()
        if by_name or not (number := parse_id(named)):
            return by_name
        named = number
    return rows.filter(pk=named).first() if 0 < named < 1 << 63 else None


def require_package(version: MicroServiceVersion, pointer: str) -> MicroServiceVersion:
    """Return the version with its package described, also one that was put into the store from outside.

    Raise Problem 422 where the package is missing or invalid.
    """
    try:
        return ensure_rewritten(version)
    except FileNotFoundError as error:
        raise invalid(pointer, "package_missing", version=version.version) from error
    except BadArchive as error:
        raise invalid(pointer, "package_invalid", version=version.version, error=error.message) from error


def _bad_reason(version: MicroServiceVersion) -> str | Message:
    return version.bad_reason or Message("no_reason_given")
