"""Hosts that are gone for good leave every list and choice, and stay where deployments and history name them."""

from collections.abc import Callable

from django.db import IntegrityError, transaction
from django.utils import timezone

from access.callers import Caller
from access.problems import conflict, invalid, refused
from audit import history

from .models import Asset

MAX_REASON = 500  # characters


def checked_reason(text: str) -> str:
    """Why something is given up, in 1 to MAX_REASON characters; 422 for anything else."""
    reason = text.strip()
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise invalid("/reason", f"must say why, in 1 to {MAX_REASON} characters on one line")
    return reason


def archive(caller: Caller, host: Asset, reason: str, refuse_in_use: Callable[[Asset], None]) -> Asset:
    """Takes the host out of every list and choice. Archived already: nothing changes.

    `refuse_in_use` raises while something needs the host: what that is, the apps above know.
    """
    reason = checked_reason(reason)
    with transaction.atomic():
        # Locked as whoever makes instances locks it (deployments/placement.py): one made now is seen, or refused.
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
    """Brings it back as it was. 409 `already_exists` where another host has its name by now, `host_archived` where its
    jump host is archived. There: nothing changes."""
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
            raise conflict(
                "already_exists",
                f"Another host is named {row.hostname} by now.",
                "Rename that one first, or leave this one archived.",
            ) from error
        history.record(caller, "unarchive", "host", row, before=before, after={"archived": False})
    return row


def refuse_archived(host: Asset) -> None:
    """409 where something is asked of a host that is archived."""
    if host.archived:
        raise refused("host_archived", host=host.hostname)
