"""The worker side: claim the next operation, carry it out on its host, write down how it ended, go on.

The threads here talk to hosts and to the writer, never to the database.
"""

import logging
import math
import os
import socket
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from time import monotonic

from django.conf import settings

from access.masking import Mask
from access.problems import Problem
from access.secrets import Undecryptable
from asset.endpoints import endpoint_from
from asset.host_marks import mark_of
from deployer.engine.codes import Code
from deployer.engine.codes import error as operation_error
from deployer.engine.decisions import NOTHING_CHANGED
from deployer.engine.failpoints import Failpoint, failpoint
from deployer.engine.journal import JournalEvent
from deployer.engine.program import Run
from deployer.engine.run import Outcome, OutcomeKind, Package, carry_out
from messages import Message
from microservice.atoms import atom_of
from microservice.models import Operation
from microservice.packages.store import open_package
from microservice.status import Action, OperationStatus, UndoStatus
from runtime.logs import log_context
from runtime.postgresql import limits
from runtime.wake_ups import MAX_MESSAGES

from .claims import Claim
from .progress import OUTPUT_ROW_SIZE, Progress, masked
from .results import OperationResult
from .sign_ins import revealed, secrets_in
from .writer import BatchWriter

log = logging.getLogger(__name__)

OUTPUT_INTERVAL = 1.0  # seconds from one row of output to the next, as the program on the host shows it

_ENDS_AS = {
    OutcomeKind.DONE: (OperationStatus.SUCCEEDED, UndoStatus.NONE),
    OutcomeKind.UNDONE: (OperationStatus.UNDONE, UndoStatus.UNDONE),
    OutcomeKind.FAILED: (OperationStatus.FAILED, UndoStatus.FAILED),
    OutcomeKind.CANCELLED: (OperationStatus.CANCELLED, UndoStatus.UNDONE),
    OutcomeKind.UNKNOWN: (OperationStatus.UNKNOWN, UndoStatus.NONE),
    OutcomeKind.NOT_STARTED: (OperationStatus.UNDONE, UndoStatus.NONE),
}


@lru_cache(maxsize=1)
def process_writer() -> BatchWriter:
    """Make this process's writer, under a name that no other process ever has."""
    limits.choose(limits.WORKER)
    return BatchWriter(
        f"{socket.gethostname()[:32]}:{os.getpid()}:{uuid.uuid4().hex[:12]}", settings.WORKER_CONCURRENCY
    )


def work(task_id: str = "") -> int:
    """Carry out what is due until nothing is. Return how many operations that were.

    A message costs a worker as much as a small operation, so each is answered by a pool: by this thread, and by others
    beside it where more is due.
    """
    writer = process_writer()
    claims = writer.claim_many(math.ceil(writer.slots / MAX_MESSAGES), task_id)
    if not claims:
        return 0
    with ThreadPoolExecutor(max(1, len(claims) - 1)) as pool:
        others = [pool.submit(_run_until_idle, writer, claim, task_id) for claim in claims[1:]]
        return _run_until_idle(writer, claims[0], task_id) + sum(other.result() for other in others)


def _run_until_idle(writer: BatchWriter, claim: Claim | None, task_id: str) -> int:
    done = 0
    while claim is not None:
        claim = _with_log_context(writer, claim, task_id)
        done += 1
    return done


class _Observer:
    """Connects the engine, while it carries an operation out, to the writer."""

    def __init__(self, writer: BatchWriter, progress: Progress):
        self._writer, self._progress = writer, progress
        self._flushed = 0.0

    def events(self, seen: list[JournalEvent]) -> None:
        self._progress.events(seen)
        self._writer.report(self._progress)

    def output(self, start: int, data: bytes) -> None:
        self._progress.output(start, data)
        self._report_output()

    def _report_output(self) -> None:
        """Report a row for each second or each full piece: a host that sends byte by byte gets no row for each byte."""
        waiting = self._progress.unwritten
        if waiting >= OUTPUT_ROW_SIZE or (waiting and monotonic() - self._flushed >= OUTPUT_INTERVAL):
            self._flushed = monotonic()
            self._writer.report(self._progress)

    def sent(self, count: int) -> None:
        self._progress.sent(count)

    def cancelled(self) -> bool:
        return self._progress.cancelled

    def lost(self) -> bool:
        self._progress.heartbeat()
        self._report_output()
        return self._writer.stopping or self._progress.lost


def _with_log_context(writer: BatchWriter, claim: Claim, task_id: str) -> Claim | None:
    """Bring one operation to its end; return the next one that is due."""
    operation = claim.operation
    threading.current_thread().name = f"operation-{operation.pk}"
    with log_context(
        deployment=operation.deployment_id,
        operation=operation.pk,
        host=operation.host.hostname,
        request=operation.deployment.request_id,
    ):
        return _execute(writer, claim, task_id)


def _execute(writer: BatchWriter, claim: Claim, task_id: str) -> Claim | None:
    operation = claim.operation
    log.info("%s %s", operation.action, "begins" if claim.fresh else "is taken up again")
    failpoint(Failpoint.BEGINNING)
    try:
        result = _run_on_host(writer, claim)
    except Exception as error:  # whatever it was: the host is asked again later, and the instance is never left locked
        log.exception("operation %s: carrying it out went wrong in this worker", operation.pk)
        result = OperationResult(
            operation,
            OperationStatus.UNKNOWN,
            error=operation_error(Code.WORKER, error=type(error).__name__),
        )
    kept, following = writer.next(result, task_id)
    if kept:
        # Without the error's text: it may quote what a command printed, which must not reach logs.
        log.info("%s ends: %s %s", operation.action, result.status, result.error_step)
    else:
        log.info("another worker owns it now; nothing was written")
    return following


def _run_on_host(writer: BatchWriter, claim: Claim) -> OperationResult:
    operation, instance = claim.operation, claim.operation.instance
    assert instance is not None, "what has no instance is not claimed"
    progress = writer.progress_of(operation.pk)
    try:
        secrets = operation.deployment.secrets.open()
        sign_in = revealed(claim.sign_in)
        progress.hide(Mask([*(secret.reveal() for secret in secrets.values()), *secrets_in(sign_in)]))
        atom = atom_of(operation.deployment.spec, operation, secrets)
        endpoint = endpoint_from(instance.host)
    except (ValueError, Problem) as error:  # a definition that cannot be carried out: nothing has happened on the host
        return OperationResult(operation, OperationStatus.UNDONE, error=_unplannable(error))
    except Undecryptable as error:
        if not claim.fresh:  # it may be under way there, and what it prints could not be masked: asked again later
            return OperationResult(
                operation, OperationStatus.UNKNOWN, error=operation_error(Code.SECRETS, reason=str(error))
            )
        unreadable = operation_error(Code.SECRETS, reason=str(error), state=NOTHING_CHANGED)
        return OperationResult(operation, OperationStatus.UNDONE, error=unreadable)
    # The service's was put there by claims._loaded.
    encoding = operation.deployment.encoding or instance.host.encoding  # type: ignore[attr-defined]
    progress.plan(step.name for step in atom.steps)
    outcome = carry_out(
        Run(operation.pk, operation.fence, atom, uuid.uuid4().hex[:16], encoding, mark_of(instance.host), sign_in),
        endpoint,
        instance.host.sudo,
        _package(operation, claim.sent_before),
        _Observer(writer, progress),
        fresh=claim.fresh,
        output_from=operation.output_size,
    )
    if outcome.kind not in (OutcomeKind.LOST, OutcomeKind.UNKNOWN):
        progress.no_more_output()
    return _result_of(operation, replace(outcome, message=masked(outcome.message, progress.mask)), writer.stopping)


def _package(operation: Operation, sent_before: bool) -> Package | None:
    version = operation.dest_version
    if version is None or operation.adopt or not version.file_path:
        return None
    return Package(
        sha256=version.sha256,
        size=version.size or 0,
        open=lambda: open_package(version),
        likely_there=operation.action == Action.REVERT or operation.attempt > 1 or sent_before,
    )


def _result_of(operation: Operation, outcome: Outcome, stopping: bool) -> OperationResult:
    if outcome.kind == OutcomeKind.LOST and stopping:  # the host continues by itself; the next worker attaches
        return OperationResult(operation, OperationStatus.RUNNING)
    if outcome.kind == OutcomeKind.LOST:
        # It is written only where the rows say that the operation is still ours; so another worker has not got it.
        return OperationResult(operation, OperationStatus.FAILED, UndoStatus.NONE, outcome.message, reached=True)
    status, undo_status = _ENDS_AS[outcome.kind]
    return OperationResult(
        operation,
        status,
        undo_status,
        outcome.message,
        outcome.step,
        outcome.code,
        outcome.reached,
        outcome.trouble,
        outcome.offered_key,
    )


def _unplannable(error: ValueError | Problem) -> Message:
    """Return why the operation cannot be planned; nothing has happened on the host."""
    code = Code(error.code) if isinstance(error, Problem) and error.code in tuple(Code) else Code.DEFINITION
    why = error.message if isinstance(error, Problem) else str(error)
    return operation_error(code, reason=why, state=NOTHING_CHANGED)
