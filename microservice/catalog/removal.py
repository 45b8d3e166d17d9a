"""Versions that nobody needs any more: their package goes, and their row leaves every list and choice. Past deployments
and the history keep the name, which can be given again."""

from collections.abc import Iterable

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from access.callers import Caller
from access.problems import conflict
from audit.history import record
from runtime.sql import ask, places

from ..models import MicroServiceInstance, MicroServiceVersion, Operation
from ..packages import store
from ..status import MAY_RETRY, OPERATION_OPEN, BuildStatus

MAX_NAMED = 20  # places in one refusal


def delete_version(caller: Caller, version: MicroServiceVersion, reason: str = "") -> None:
    """Removes the version's package from the store, and the version from every list. Deleted already: nothing changes.

    409 `version_in_use`, naming where: it runs, may be reverted to, is to be retried, is on its way, or is being built.
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
    """409 `version_deleted` where one of these versions (ids) was deleted: its package is gone. Inside the transaction
    that is to need them: until its end none of them can be deleted, and others may need them too."""
    wanted = {number for number in numbers if number is not None}
    share = "FOR KEY SHARE" if connection.features.has_select_for_update else ""
    rows = f"SELECT version, archived FROM micro_service_version WHERE id IN ({places(wanted)}) {share}"  # noqa: S608
    for name, archived in ask(rows, *wanted):
        if archived is not None:
            raise conflict(
                "version_deleted",
                f"{name} was deleted, and its package with it.",
                "Choose another version.",
                [{"pointer": pointer, "reason": f"{name} was deleted"}],
            )


def _refuse_in_use(version: MicroServiceVersion) -> None:
    errors = [{"pointer": "/path/id", **one} for one in _uses(version)]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise conflict(
            "version_in_use",
            f"{version.version} cannot be deleted: {errors[0]['reason']}{more}.",
            "Bring those to another version first, or delete or forget the instances.",
            errors,
        )


def _uses(version: MicroServiceVersion):
    """What still needs the version, each as a sentence with the ids of what it is about."""
    if version.status == BuildStatus.BUILDING:
        yield {"reason": "it is being built"}
    near = (
        Q(version=version) | Q(previous_version=version) | Q(last_operation__dest_version=version, status__in=MAY_RETRY)
    )
    rows = MicroServiceInstance.objects.filter(near).select_related("host").order_by("host__hostname")
    for row in rows[:MAX_NAMED]:
        what = (
            "it runs on {}"
            if row.version_id == version.pk
            else "{} may be reverted to it"
            if row.previous_version_id == version.pk
            else "an operation toward it failed on {} and may be retried"
        )
        yield {"reason": what.format(row.host.hostname), "instance_id": row.pk, "host_id": row.host_id}
    toward = Q(dest_version=version) | Q(from_version=version)
    going = Operation.objects.filter(toward, status__in=OPERATION_OPEN).values_list("deployment_id", flat=True)
    for number in sorted(set(going[:MAX_NAMED])):
        yield {"reason": f"deployment {number} is under way with it", "deployment_id": number}
