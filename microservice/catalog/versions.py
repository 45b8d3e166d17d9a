"""Versions: found, made, changed and marked under their rules. Refuses with Problem.

A change is checked first and written then: what follows where it ends a build is said by those who stand above
(`publishing`), because a deployment may follow, and deployments need what is here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from access.callers import Caller
from access.problems import conflict, invalid, not_found
from access.rollback import rolled_back, rolls_back
from audit.history import record

from ..models import MicroService, MicroServiceVersion
from ..status import BUILD_TRANSITIONS, BuildStatus, may_become
from .fields import errors_of, refuse

VERSION_FIELDS = ("version", "ref", "description", "status")
VERSION_CHANGES = ("status", "description", "bad", "bad_reason")


def find_version(service: MicroService, version_id: int, pointer: str = "") -> MicroServiceVersion:
    """A version of this very service by its id; another service's is not there. `pointer`: 422 there instead of 404."""
    version = service.versions.filter(pk=version_id).first()
    if version is None:
        raise invalid(pointer, f"is no version of {service.name}") if pointer else not_found("version")
    version.microservice = service
    return version


def create_version(
    caller: Caller, service: MicroService, fields: Mapping[str, Any]
) -> tuple[MicroServiceVersion, bool]:
    """Makes a version of VERSION_FIELDS; returns it and whether it is new.

    The same again finds the one that is there (its build may have moved on since); other content is a 409
    `version_exists`.
    """
    version = MicroServiceVersion(microservice=service, **fields, created_by=caller.name)
    check_version(version)
    try:
        with transaction.atomic():
            version.save(force_insert=True)
            record(caller, "create", "version", version, after=dict(fields), service=service)
        return version, True
    except IntegrityError as error:
        there = service.versions.filter(version=version.version).first()
        if there is None:  # the service itself was deleted meanwhile
            raise not_found("service") from error
    differing = _differing(there, version)
    if differing:
        raise conflict(
            "version_exists",
            f"{version.version} is there already with another {', '.join(differing)}.",
            "Versions are never edited: choose another name.",
            [{"pointer": f"/{name}", "reason": "differs from what is there"} for name in differing],
        )
    return there, False


def check_version(version: MicroServiceVersion) -> None:
    """Every field's own rule; raises one 422 Problem that names all that is wrong."""
    refuse(errors_of(version, VERSION_FIELDS))


def _differing(there: MicroServiceVersion, asked: MicroServiceVersion) -> list[str]:
    same_status = there.status == asked.status or _leads_to(BuildStatus(asked.status), BuildStatus(there.status))
    same = {
        "ref": there.ref == asked.ref,
        "description": there.description == asked.description,
        "status": same_status,
    }
    return [name for name, is_same in same.items() if not is_same]


def _leads_to(start: BuildStatus, end: BuildStatus) -> bool:
    return any(step == end or _leads_to(step, end) for step in BUILD_TRANSITIONS.get(start, {}))


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of a version: the values of all VERSION_CHANGES as they were, and those that differ."""

    before: dict[str, Any]
    after: dict[str, Any]


def checked(version: MicroServiceVersion, fields: Mapping[str, Any]) -> Change | None:
    """Gives the version some of VERSION_CHANGES; None where it has them already.

    A status goes only where BUILD_TRANSITIONS lets it; what is built stays.
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
    """In the caller's transaction. Raises Problem 409 where somebody else was faster."""
    before = change.before
    # Conditional on the status that was looked at: of two that race, the second finds the build moved on.
    unmoved = MicroServiceVersion.objects.filter(pk=version.pk, status=before["status"])
    if not unmoved.update(**change.after):
        raise conflict("concurrent_update", f"{version.version} was changed at the same moment.", "Look again.")
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
    """Marks a version that was left as bad, so that nothing goes to it any more. 422 without a reason."""
    if not reason.strip():
        raise invalid("/reason", "must say why the version is bad")
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
            raise conflict(
                "build_status",
                f"A build that is {old.label} does not become {new.label}.",
                errors=[{"pointer": "/status", "reason": f"is {old.label}"}],
            )
