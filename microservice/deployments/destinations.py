"""Which versions an upgrade or a revert may go to: successful builds of the same service, newer or older."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from access.callers import Caller
from access.problems import forbidden, invalid

from ..models import MicroService, MicroServiceVersion
from ..packages.archives import BadArchive
from ..packages.store import ensure_rewritten
from ..status import Action, BuildStatus

BETWEEN_VERSIONS = {Action.UPGRADE: "newer", Action.REVERT: "older"}


def choices(version: MicroServiceVersion, action: str, allow_bad: bool = False) -> list[dict]:
    """Successful builds of the version's service, newest first, and whether `action` may go to each from here."""
    if action not in BETWEEN_VERSIONS:
        raise invalid("/path/action", "must be upgrade or revert", code="unknown_action")
    rows = MicroServiceVersion.objects.filter(microservice=version.microservice_id, status=BuildStatus.SUCCESS)
    reasons = [(row, why_not_to(version, row, Action(action), allow_bad)) for row in rows.order_by("-pk")]
    return [
        {
            "id": row.pk,
            "version": row.version,
            "enable": not reason,
            "reason": reason,
            "created": row.created,
            "ref": row.ref,
            "bad": row.bad,
        }
        for row, reason in reasons
    ]


def why_not_to(version: MicroServiceVersion, dest: MicroServiceVersion, action: Action, allow_bad: bool = False) -> str:
    """Why `action` may not go from `version` to `dest`; empty where it may. Pure."""
    if dest.status != BuildStatus.SUCCESS:
        return f"its build is {BuildStatus(dest.status).label}"
    if dest.bad and not allow_bad:
        return f"it was marked bad: {dest.bad_reason or 'no reason given'}"
    if dest.pk == version.pk:
        return "it is what runs now"
    if (dest.pk > version.pk) != (action == Action.UPGRADE):
        return f"{action} goes to {BETWEEN_VERSIONS[action]} versions only"
    return ""


def allowed(version: MicroServiceVersion, action: Action, allow_bad: bool = False) -> Q:
    """The same rule as a condition on versions of the same service: those for which `why_not_to` says nothing."""
    beyond = Q(pk__gt=version.pk) if action == Action.UPGRADE else Q(pk__lt=version.pk)
    good = Q(status=BuildStatus.SUCCESS) if allow_bad else Q(status=BuildStatus.SUCCESS, bad=False)
    return good & beyond


def marked_bad(numbers: QuerySet) -> QuerySet[MicroServiceVersion]:
    """Those of these versions that were marked bad."""
    return MicroServiceVersion.objects.filter(pk__in=numbers, bad=True).order_by("pk")


def check_bad(caller: Caller, bad: Iterable[MicroServiceVersion], allow_bad: bool, pointer: str) -> None:
    """What was marked bad is brought to a host by no machine, and by a person only who says so.

    Raises a Problem: 422 `version_bad` where nobody said so, 403 where a machine did.
    """
    for version in bad:
        reason = version.bad_reason or "no reason given"
        if not allow_bad:
            raise invalid(
                pointer,
                f"{version.version} was marked bad: {reason}",
                "version_bad",
                "Choose another version; or, as a person signed in, send allow_bad: true.",
            )
        if not caller.is_person:
            raise forbidden(
                f"{version.version} was marked bad: {reason}. No token and no rule brings it anywhere.",
                "Sign in and do it by hand, or mark the version as good again.",
            )


def destination(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    action: Action,
    number: object,
    allow_bad: bool = False,
) -> MicroServiceVersion:
    """The version with this id, if `action` may go there from `version`. Raises Problem 422, or 403 (`check_bad`)."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise invalid("/dest_version", "must be the id of a version")
    # Whether a version of another service exists is nobody's business: it is simply none of this one's.
    dest = MicroServiceVersion.objects.filter(pk=number, microservice=service).first() if 0 < number < 1 << 63 else None
    if dest is None:
        raise invalid("/dest_version", f"is not a version of {service.name}")
    reason = why_not_to(version, dest, action, allow_bad=True)
    if reason:
        raise invalid("/dest_version", f"cannot be {dest.version}: {reason}")
    check_bad(caller, [dest] if dest.bad else [], allow_bad, "/dest_version")
    return with_package(dest, "/dest_version")


def with_package(dest: MicroServiceVersion, pointer: str) -> MicroServiceVersion:
    """The version with its package described, also where somebody else put it into the store. Raises Problem 422."""
    try:
        return ensure_rewritten(dest)
    except (FileNotFoundError, BadArchive) as error:
        reason = "is not in the store" if isinstance(error, FileNotFoundError) else f"is no good: {error}"
        raise invalid(pointer, f"cannot be {dest.version}: its package {reason}") from error
