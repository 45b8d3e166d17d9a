"""Deletes versions: the package is removed and the row leaves every list. Past deployments and the history keep the
name, which can be used again."""

from collections.abc import Iterable, Iterator

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from access.callers import Caller
from access.problems import FieldError, refused
from audit.history import record
from runtime.sql import fetch_all, placeholders

from ..models import MicroServiceInstance, MicroServiceVersion, Operation
from ..packages import store
from ..status import MAY_RETRY, OPERATION_OPEN, BuildStatus

MAX_NAMED = 20  # uses in one refusal


def delete_version(caller: Caller, version: MicroServiceVersion, reason: str = "") -> None:
    """Remove the version's package from the store, and the version from every list. Idempotent.

    Raise 409 `version_in_use`, with each use: it runs, may be reverted to or retried, is being deployed or built.
    """
    with transaction.atomic():
        rows = MicroServiceVersion.every.select_for_update(of=("self",)).select_related("microservice")
        row = rows.get(pk=version.pk)
        if row.archived:
            return
        _refuse_in_use(row)
        before = {"status": row.get_status_display(), "sha256": row.sha256, "file_path": row.file_path}
        paths = [row.file_path] if row.file_path else []
        row.archived, row.archived_by, row.archive_reason, row.file_path = timezone.now(), caller.name, reason[:500], ""
        row.save(update_fields=["archived", "archived_by", "archive_reason", "file_path"])
        own = store.release(row.microservice, paths, doomed=True)
        record(caller, "delete", "version", row, before=before, reason=reason, service=row.microservice)
        transaction.on_commit(lambda: store.remove(own))


def refuse_deleted(numbers: Iterable[int | None], pointer: str) -> None:
    """Raise 409 `version_deleted` where one of these versions (ids) was deleted.

    Call in the transaction that uses them: until its end none of them can be deleted, and others may use them too.
    """
    wanted = {number for number in numbers if number is not None}
    share = "FOR KEY SHARE" if connection.features.has_select_for_update else ""
    rows = f"SELECT version, archived FROM micro_service_version WHERE id IN ({placeholders(wanted)}) {share}"  # noqa: S608
    for name, archived in fetch_all(rows, *wanted):
        if archived is not None:
            raise refused("version_deleted", [FieldError(pointer, "deleted", version=name)], version=name)


def _refuse_in_use(version: MicroServiceVersion) -> None:
    uses = list(_uses(version))
    if uses:
        reasons = [use.reason for use in uses]
        raise refused("version_in_use", uses, version=version.version, reasons=reasons)


def _uses(version: MicroServiceVersion) -> Iterator[FieldError]:
    """Yield each use of the version, with the ids of the instance, host or deployment."""
    pointer = "/path/id"
    if version.status == BuildStatus.BUILDING:
        yield FieldError(pointer, "version_use.building")
    used = (
        Q(version=version) | Q(previous_version=version) | Q(last_operation__dest_version=version, status__in=MAY_RETRY)
    )
    rows = MicroServiceInstance.objects.filter(used).select_related("host").order_by("host__hostname")
    for row in rows[:MAX_NAMED]:
        ids = {"instance_id": row.pk, "host_id": row.host_id}
        yield FieldError(pointer, _use_of(row, version), ids, host=row.host.hostname)
    toward = Q(dest_version=version) | Q(from_version=version)
    open_ids = Operation.objects.filter(toward, status__in=OPERATION_OPEN).values_list("deployment_id", flat=True)
    for number in sorted(set(open_ids[:MAX_NAMED])):
        yield FieldError(pointer, "version_use.deployment", {"deployment_id": number}, deployment=number)


def _use_of(instance: MicroServiceInstance, version: MicroServiceVersion) -> str:
    if instance.version_id == version.pk:
        return "version_use.runs"
    if instance.previous_version_id == version.pk:
        return "version_use.revert"
    return "version_use.retry"
