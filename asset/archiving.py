"""Hosts that are gone for good leave every list and choice, and stay where deployments and history name them."""
from django.db import IntegrityError, transaction
from django.utils import timezone

from access.callers import Caller
from access.problems import Problem, conflict, invalid
from microservice import history
from microservice.models import Operation
from microservice.status import OPERATION_OPEN

from .models import Asset

MAX_REASON = 500  # characters
MAX_NAMED = 20  # hindrances in one refusal


def checked_reason(text: str) -> str:
    """Why something is given up, in 1 to MAX_REASON characters; 422 for anything else."""
    reason = text.strip()
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise invalid("/reason", f"must say why, in 1 to {MAX_REASON} characters on one line")
    return reason


def archive(caller: Caller, host: Asset, reason: str) -> Asset:
    """Takes the host out of every list and choice. Archived already: nothing changes.

    409 `host_in_use`, naming what is in the way, while it has instances, operations under way, or hosts behind it.
    """
    reason = checked_reason(reason)
    with transaction.atomic():
        # Locked as whoever makes instances locks it (requests/placement.py): one that is made now is seen, or refused.
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
    """Brings it back as it was. 409 `already_there` where another host has its name by now, `host_archived` where its
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
            raise conflict("already_there", f"Another host is named {row.hostname} by now.",
                           "Rename that one first, or leave this one archived.") from error
        history.record(caller, "unarchive", "host", row, before=before, after={"archived": False})
    return row


def refuse_archived(host: Asset) -> None:
    """409 where something is asked of a host that is archived."""
    if host.archived:
        raise conflict("host_archived", f"{host.hostname} is archived.", "Bring it back first: unarchive it.")


def refuse_in_use(host: Asset) -> None:
    """409 `host_in_use` that names each instance, operation and host in the way of an archive."""
    rows = host.instances.select_related("microservice").order_by("microservice__name")
    errors = [
        {"pointer": "/instances", "reason": f"{row.microservice.name} is installed there", "instance_id": row.pk,
         "service": row.microservice.name}
        for row in rows
    ]
    if errors:
        raise _in_use(host, errors, "Delete the instances, or forget them where the host is gone for good.")
    going = Operation.objects.filter(host=host, status__in=OPERATION_OPEN).values_list("deployment_id", flat=True)
    errors = [
        {"pointer": "/operations", "reason": f"deployment {number} still has an operation there"}
        for number in sorted(set(going))
    ]
    if errors:
        raise _in_use(host, errors, "Cancel the deployment, or wait for its end.")
    behind = Asset.objects.filter(jump_host=host).order_by("hostname").values_list("hostname", flat=True)
    errors = [{"pointer": "/jump_host_id", "reason": f"{name} is reached through it"} for name in behind]
    if errors:
        raise _in_use(host, errors, "Give those hosts another way first.")


def _in_use(host: Asset, errors: list[dict], hint: str) -> Problem:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    detail = f"{host.hostname} cannot be archived: {errors[0]['reason']}{more}."
    return conflict("host_in_use", detail, hint, errors[:MAX_NAMED])
