"""Record who changed what, from which values to which. Rows are only added, and chained by their hashes."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Model

from access.callers import Caller

from . import chain
from .models import History


def record(
    caller: Caller,
    action: str,
    subject: str,
    obj: Model | None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
    service: Model | None = None,
    subject_name: str = "",
    subject_id: int | None = None,
) -> History:
    """Write one row of the history in the caller's transaction: it is committed or rolled back with the action.

    `action`: create, change, delete, deploy, cancel, unlock, trust …; `subject`: service, version, instance, host,
    credential, token, deployment. `before` and `after` hold only what changed, as JSON values, and never a secret.
    """
    row = row_of(caller, action, subject, obj, before, after, reason, service, subject_name, subject_id)
    row.save(force_insert=True)
    chain.seal_after_commit()
    return row


def record_alike(
    caller: Caller,
    action: str,
    subject: str,
    objs: Iterable[Model],
    before: dict[str, Any],
    after: dict[str, Any],
    service: Model,
) -> None:
    """Write the row of `record` for each of several objects with the same change, in one statement."""
    record_rows(row_of(caller, action, subject, obj, before, after, service=service) for obj in objs)


def record_rows(rows: Iterable[History]) -> None:
    """Write rows of `row_of` in one statement."""
    if pending := list(rows):
        History.objects.bulk_create(pending)
        chain.seal_after_commit()


def row_of(
    caller: Caller,
    action: str,
    subject: str,
    obj: Model | None,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str = "",
    service: Model | None = None,
    subject_name: str = "",
    subject_id: int | None = None,
) -> History:
    """Return a row that is not saved yet. It names the token that acted, if any."""
    row = History(
        actor=caller.name[:150],
        token_id=caller.token_id,
        token_name=caller.token_name[:64],
        address=caller.address[:64],
        action=action,
        subject=subject,
        subject_id=obj.pk if obj is not None else subject_id,
        subject_name=(subject_name or (str(obj) if obj is not None else ""))[:300],
        microservice_id=service.pk if service is not None else None,
        before=before,
        after=after,
        reason=reason[:500],
    )
    row.digest = chain.digest(row)
    return row
