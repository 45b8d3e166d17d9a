"""Archived hosts: in no list and no choice, but still there for the deployments and history that name them."""

from collections.abc import Callable

from django.db import IntegrityError, transaction
from django.utils import timezone

from access.callers import Caller
from access.problems import invalid, refused
from audit import history

from .models import Asset

MAX_REASON = 500  # characters


def checked_reason(text: str) -> str:
    """Return the reason without surrounding spaces. 422 unless it has 1 to MAX_REASON characters on one line."""
    reason = text.strip()
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise invalid("/reason", "archive_reason", max=MAX_REASON)
    return reason


def archive(caller: Caller, host: Asset, reason: str, refuse_in_use: Callable[[Asset], None]) -> Asset:
    """Archive the host; an archived one stays as it is. `refuse_in_use` raises while something needs the host."""
    reason = checked_reason(reason)
    with transaction.atomic():
        # deployments/placement.py locks the row too: an instance created meanwhile is seen here or refused.
        row = Asset.every.select_for_update().get(pk=host.pk)
        if row.archived:
            return row
        refuse_in_use(row)
        row.archived, row.archived_by, row.archive_reason = timezone.now(), caller.name, reason
        row.updated_by = caller.name
        row.save(update_fields=["archived", "archived_by", "archive_reason", "updated", "updated_by"])
        history.record(
            caller, "archive", "host", row, before={"archived": False}, after={"archived": True}, reason=reason
        )
    return row


def unarchive(caller: Caller, host: Asset) -> Asset:
    """Restore an archived host; another one stays as it is.

    409 `already_exists` where another host has its name now, `host_archived` where its jump host is archived.
    """
    with transaction.atomic():
        row = Asset.every.select_for_update().get(pk=host.pk)
        if not row.archived:
            return row
        if row.jump_host is not None:
            refuse_archived(row.jump_host)
        before = {"archived": True, "reason": row.archive_reason}
        row.archived, row.archived_by, row.archive_reason, row.updated_by = None, "", "", caller.name
        try:
            with transaction.atomic():
                row.save(update_fields=["archived", "archived_by", "archive_reason", "updated", "updated_by"])
        except IntegrityError as error:
            raise refused("already_exists.unarchived_host", host=row.hostname) from error
        history.record(caller, "unarchive", "host", row, before=before, after={"archived": False})
    return row


def refuse_archived(host: Asset) -> None:
    """Raise 409 for an archived host."""
    if host.archived:
        raise refused("host_archived", host=host.hostname)
