"""Finds, creates, changes and marks versions. Every rule that is broken raises a Problem.

A change is checked first and written then. What follows the end of a build is in `publishing`, above this package,
because a deployment may follow, and deployments need this package.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from access.callers import Caller
from access.problems import FieldError, invalid, not_found, refused
from access.rollback import rolled_back, rolls_back
from audit.history import record

from ..models import MicroService, MicroServiceVersion
from ..status import BUILD_TRANSITIONS, BuildStatus, may_become
from .fields import errors_of, refuse

VERSION_FIELDS = ("version", "ref", "description", "status")
VERSION_CHANGES = ("status", "description", "bad", "bad_reason")


def find_version(service: MicroService, version_id: int, pointer: str = "") -> MicroServiceVersion:
    """Return a version of this service by its id. `pointer`: raise 422 there instead of 404."""
    version = service.versions.filter(pk=version_id).first()
    if version is None:
        raise invalid(pointer, "not_of_service", service=service.name) if pointer else not_found("version")
    version.microservice = service
    return version


def create_version(
    caller: Caller, service: MicroService, fields: Mapping[str, Any]
) -> tuple[MicroServiceVersion, bool]:
    """Create a version of VERSION_FIELDS; return it and whether it is new.

    Idempotent: the same fields return the existing version, whose build may have moved on since. Raise 409
    `version_exists` where it differs.
    """
    version = MicroServiceVersion(microservice=service, **fields, created_by=caller.name)
    check_version(version)
    try:
        with transaction.atomic():
            version.save(force_insert=True)
            record(caller, "create", "version", version, after=dict(fields), service=service)
        return version, True
    except IntegrityError as error:
        existing = service.versions.filter(version=version.version).first()
        if existing is None:  # the service itself was deleted meanwhile
            raise not_found("service") from error
    differing = _differing_fields(existing, version)
    if differing:
        errors = [FieldError(f"/{name}", "differs_from_existing") for name in differing]
        raise refused("version_exists", errors, version=version.version, fields=differing)
    return existing, False


def check_version(version: MicroServiceVersion) -> None:
    """Check every field; raises one 422 Problem with everything that is wrong."""
    refuse(errors_of(version, VERSION_FIELDS))


def _differing_fields(existing: MicroServiceVersion, new: MicroServiceVersion) -> list[str]:
    same_status = existing.status == new.status or _leads_to(BuildStatus(new.status), BuildStatus(existing.status))
    same = {
        "ref": existing.ref == new.ref,
        "description": existing.description == new.description,
        "status": same_status,
    }
    return [name for name, is_same in same.items() if not is_same]


def _leads_to(start: BuildStatus, end: BuildStatus) -> bool:
    return any(step == end or _leads_to(step, end) for step in BUILD_TRANSITIONS.get(start, {}))


@dataclass(frozen=True, slots=True)
class Change:
    """A checked change of a version. `before`: all VERSION_CHANGES; `after`: those that differ."""

    before: dict[str, Any]
    after: dict[str, Any]


def checked(version: MicroServiceVersion, fields: Mapping[str, Any]) -> Change | None:
    """Apply some of VERSION_CHANGES to the version, unsaved. Return None where it has them already.

    Raise 409 for a status that BUILD_TRANSITIONS does not allow.
    """
    before = {name: getattr(version, name) for name in VERSION_CHANGES}
    after = {**before, **fields}
    if not after["bad"]:
        after["bad_reason"] = ""
    changed = {name: value for name, value in after.items() if before[name] != value}
    if not changed:
        return None
    _check_change(version, changed)
    with rolled_back(version):
        for name, value in changed.items():
            setattr(version, name, value)
        refuse(errors_of(version, VERSION_CHANGES))
    return Change(before, changed)


def write(caller: Caller, version: MicroServiceVersion, change: Change) -> None:
    """Save a change in the caller's transaction. Raise 409 where another request was first."""
    before = change.before
    # Conditional on the status that was checked: of two requests that race, the second finds another one.
    unchanged = MicroServiceVersion.objects.filter(pk=version.pk, status=before["status"])
    if not unchanged.update(**change.after):
        raise refused("concurrent_update.version", version=version.version)
    record(
        caller,
        "change",
        "version",
        version,
        before={name: before[name] for name in change.after},
        after=change.after,
        reason=str(change.after.get("bad_reason", "")),
        service=version.microservice,
    )


@rolls_back
def mark_bad(caller: Caller, version: MicroServiceVersion, reason: str) -> None:
    """Mark a version as bad, so that nothing is deployed to it any more. Raise 422 without a reason."""
    if not reason.strip():
        raise invalid("/reason", "bad_reason_required")
    if version.bad:
        return
    change = checked(version, {"bad": True, "bad_reason": reason})
    if change is not None:
        with transaction.atomic():
            write(caller, version, change)


def _check_change(version: MicroServiceVersion, changed: Mapping[str, Any]) -> None:
    old = BuildStatus(version.status)
    if "status" in changed:
        new = BuildStatus(changed["status"])
        if not may_become(BUILD_TRANSITIONS, old, new):
            errors = [FieldError("/status", "status_is", status=old.label)]
            raise refused("build_status.transition", errors, old=old.label, new=new.label)
