"""Writes down who did what to what, from what to what. Rows are only ever added, and chained by their hashes."""
from collections.abc import Iterable
from typing import Any

from django.db.models import Model

from access.callers import Caller

from ..models import History, MicroService
from . import chain


def record(
    caller: Caller, action: str, subject: str, obj: Model | None, before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None, reason: str = "", service: MicroService | None = None, subject_name: str = "",
) -> History:
    """One row of the history, written in the caller's transaction: it stands or falls with the deed.

    `action`: create, change, delete, deploy, cancel, unlock, trust …; `subject`: service, version, instance, host,
    credential, token, deployment. `before` and `after` hold only what changed, as JSON values, and never a secret.
    """
    row = _row(caller, action, subject, obj, before, after, reason, service, subject_name)
    row.save(force_insert=True)
    chain.seal_after_commit()
    return row


def record_alike(
    caller: Caller, action: str, subject: str, objs: Iterable[Model], before: dict[str, Any], after: dict[str, Any],
    service: MicroService,
) -> None:
    """A row as `record` writes it for each of these, to all of which the same was done, in one statement."""
    History.objects.bulk_create([_row(caller, action, subject, one, before, after, service=service) for one in objs])
    chain.seal_after_commit()


def _row(
    caller: Caller, action: str, subject: str, obj: Model | None, before: dict[str, Any] | None,
    after: dict[str, Any] | None, reason: str = "", service: MicroService | None = None, subject_name: str = "",
) -> History:
    row = History(
        actor=caller.name[:150], address=caller.address[:64], action=action, subject=subject,
        subject_id=obj.pk if obj is not None else None,
        subject_name=(subject_name or (str(obj) if obj is not None else ""))[:300],
        microservice=service, before=before, after=after, reason=reason[:500],
    )
    row.digest = chain.digest(row)
    return row
