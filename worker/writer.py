"""The one writer of a worker process: claims, progress and ends of all its operations go through here, together.

Operation threads talk to hosts and never to the database. What they have to say is gathered (mailbox.py) and written by
one thread in one transaction a tick, so the number of statements does not grow with the number of operations, a process
needs one connection however many operations it has in flight, and no transaction is ever open while anything waits for
a host.
"""

import logging
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic, sleep

from django.conf import settings
from django.db import Error, connection, transaction

from deployer.engine.failpoints import Failpoint, failpoint
from microservice import notify
from microservice.deployments import advance
from runtime import watchdog
from runtime.database_errors import is_held

from .claim_requests import ClaimRequest, deal
from .claims import Claim, claim
from .leases import Name, RowsHeld, owned
from .mailbox import Mailbox, Requests, Results
from .pacing import MIN_INTERVAL, Pacing
from .progress import Piece, Progress, write_progress
from .results import OperationResult, record_results

WRITER_TIMEOUT = 60.0  # seconds that one round of the writing thread may take: then this process is useless
HUNG_AFTER = 300.0  # seconds without a call after which a thread hangs: whatever it may wait for ends sooner
SKIP_LOCKED_FOR = 5.0  # seconds for which rows that others hold are skipped, after one was waited for in vain
log = logging.getLogger(__name__)


class BatchWriter:
    """Thread-safe; `claim`, `finish` and `next` wait for their commit, `report` does not."""

    def __init__(self, owner: str, slots: int):
        self.owner, self.slots = owner, slots
        self.stopping = False
        self._mailbox = Mailbox()
        self._pacing = Pacing()
        self._write_lock = threading.Lock()  # its holder may write
        self._renewed = 0.0
        self._skip_locked_until = 0.0
        self._pulse = watchdog.watch("writer", WRITER_TIMEOUT)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    # ---- what operation threads call -------------------------------------------------------------------------------

    def claim(self, task_id: str = "") -> Claim | None:
        """Return the next operation that is due, or None. Raise DatabaseError where the rows cannot be read."""
        return next(iter(self.claim_many(1, task_id)), None)

    def claim_many(self, most: int, task_id: str = "") -> list[Claim]:
        """Return the next operations that are due, up to `most`: one wait for all of them. Raise DatabaseError."""
        return [] if self.stopping else self._mailbox.ask(None, ClaimRequest(most, task_id))[1]

    def report(self, progress: Progress) -> None:
        """Note that an operation has something to write; it is written within a tick or two."""
        self._mailbox.notify(progress)

    def finish(self, result: OperationResult) -> bool:
        """Write result, version, status and unlock in one transaction.

        False: another worker owns it, and nothing was written.
        """
        return self._mailbox.ask(result, None)[0]

    def next(self, result: OperationResult, task_id: str = "") -> tuple[bool, Claim | None]:
        """Return what `finish` and then `claim` would, at the price of one wait."""
        if self.stopping:
            return self.finish(result), None
        kept, claims = self._mailbox.ask(result, ClaimRequest(1, task_id))
        return kept, next(iter(claims), None)

    @property
    def in_flight(self) -> int:
        return len(self._mailbox.in_flight())

    def progress_of(self, number: int) -> Progress:
        return self._mailbox.in_flight()[number]

    def stop(self) -> None:
        """Claim nothing more, and let operation threads leave their hosts to go on by themselves."""
        self.stopping = True
        self._mailbox.wake()

    # ---- the writing thread ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the thread. What is not written yet is not written: for a process that ends, and for tests."""
        self._mailbox.close()
        self._thread.join(timeout=30)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Write nothing inside: what comes together then is written together."""
        with self._write_lock:
            yield

    def _run(self) -> None:
        while not self._mailbox.closed:
            self._mailbox.wait(self._pacing)
            with self._write_lock, self._pulse:
                self._work()
        watchdog.forget(self._pulse)
        connection.close()

    def _work(self) -> None:
        if self._mailbox.closed:
            return
        results, requests = self._mailbox.take()
        for work in (partial(self._write, results), partial(self._take, requests)):
            try:
                work()
            except Error as error:  # what is gathered stays, and is written when the database is back
                log.warning("the database did not take it: %s", type(error).__name__)
                if is_held(error):  # the connection is good, and the next try goes around whatever is held
                    self._skip_locked_until = monotonic() + SKIP_LOCKED_FOR
                    continue
                connection.close()
                sleep(0.5)
            except Exception:  # without this thread nothing would ever be unlocked: it outlives any error
                log.exception("unexpected error in the writer")
                connection.close()
                sleep(0.5)

    def _write(self, results: Results) -> None:
        self._release_hung(results)
        held = self._mailbox.in_flight()
        now = monotonic()
        renew = bool(held) and now - self._renewed >= settings.OPERATION_LEASE_SECONDS / 3
        ended = {result.operation.pk for result, _ in results}
        awaiting = [progress for number, progress in held.items() if progress.awaits_writing or number in ended]
        poll = bool(held) and self._pacing.is_poll_due(now)
        if not (results or awaiting or renew or poll):
            return
        self._pacing.polled = now
        failpoint(Failpoint.WRITING)
        write = self._write_skipping_locked if self._skips_locked else self._write_together
        write(held, awaiting, results, renew)

    @property
    def _skips_locked(self) -> bool:
        return monotonic() < self._skip_locked_until

    def _write_together(
        self, held: dict[int, Progress], awaiting: list[Progress], results: Results, renew: bool, around: bool = False
    ) -> None:
        try:
            kept, written = self._transaction(held, awaiting, results, renew, around)
        except BaseException:
            self._mailbox.put_back(results)
            raise
        failpoint(Failpoint.ENDED if results else Failpoint.RECORDED)
        for progress, taken in written:
            progress.forget(taken)
        names = [result.name for result, _ in results]
        for name in names:
            self._mailbox.forget(name)
        for name, (_, future) in zip(names, results, strict=True):
            future.set_result(name in kept)

    def _write_skipping_locked(
        self, held: dict[int, Progress], awaiting: list[Progress], results: Results, renew: bool
    ) -> None:
        """Write around rows that others hold, which must not keep the other leases from being renewed. First those,
        then the progress, then each result by itself. One that was waited for in vain is the last one the next time."""
        rest = list(results)
        try:
            self._write_together(held, [], [], renew, around=True)
            self._write_together(held, awaiting, [], False, around=True)
            while rest:
                result = rest.pop(0)
                mine = {key: progress for key, progress in held.items() if key == result[0].operation.pk}
                try:
                    self._write_together(mine, list(mine.values()), [result], False, around=True)
                except RowsHeld:
                    sleep(MIN_INTERVAL)
        except BaseException:
            self._mailbox.put_back(rest)
            raise

    def _release_hung(self, results: Results) -> None:
        """Release operations whose thread hangs, as if the worker were dead: its lease is not renewed, so the operation
        is taken over, by this process as well as by another; whatever the thread still says under its fence is refused.
        """
        waiting = {result.name for result, _ in results}
        for progress in self._mailbox.in_flight().values():
            if monotonic() - progress.last_call > HUNG_AFTER and progress.name not in waiting:
                frame = sys._current_frames().get(progress.thread or 0)
                where = "".join(traceback.format_stack(frame)) if frame else "-"
                log.error("operation %s: its thread hangs, and the operation is left:\n%s", progress.name[0], where)
                progress.lost = True
                self._mailbox.forget(progress.name)

    def _transaction(
        self, held: dict[int, Progress], awaiting: list[Progress], results: Results, renew: bool, around: bool
    ) -> tuple[set[Name], list[tuple[Progress, Piece]]]:
        """Return whose rows this process still owns, and what was written of them. Raise RowsHeld."""
        with transaction.atomic():
            # Deployments are always locked before operations; see claims.py.
            above = {result.operation.deployment_id for result, _ in results}
            locked = advance.lock(above, around)
            kept = owned(self.owner, held, renew, around)
            if len(locked) < len(above) or (results and any(not p.lost and p.name not in kept for p in held.values())):
                raise RowsHeld
            written = [(progress, progress.take()) for progress in awaiting if progress.name in kept]
            new_events = write_progress(written)
            new_events += record_results([result for result, _ in results if result.name in kept])
            notify.publish(new_events)
            failpoint(Failpoint.ENDING if results else Failpoint.WRITTEN)
        if renew:
            self._renewed = monotonic()
        return kept, written

    def _take(self, requests: Requests) -> None:
        if not requests:
            return
        held = self._mailbox.in_flight()
        mine = Counter(progress.operation.deployment_id for progress in held.values())
        free = 0 if self.stopping else self.slots - mine.total()
        wanted = [request.most for request, _ in requests]
        taken: list[Claim] = []
        try:
            if free > 0:
                taken = self._claimed(mine, list(held), sum(wanted), free, requests[0][0].task_id)
        except BaseException as error:  # whatever it was, a thread waits for an answer
            for _, future in requests:
                future.set_exception(error)
            raise
        if taken:
            failpoint(Failpoint.CLAIMED if taken[0].fresh else Failpoint.TAKEN_OVER)
        if not held:
            self._renewed = monotonic()
        self._mailbox.add(Progress(claimed.operation) for claimed in taken)
        for (_, future), share in zip(requests, deal(taken, wanted), strict=True):
            future.set_result(share)

    def _claimed(self, mine: Counter, held: list[int], wanted: int, free: int, task_id: str) -> list[Claim]:
        """Return what could be claimed, without rows that another transaction holds for long."""
        while True:
            around = self._skips_locked
            try:
                with transaction.atomic():
                    taken, new_events = claim(self.owner, mine, held, wanted, free, task_id, around)
                    notify.publish(new_events)
                    if taken:
                        failpoint(Failpoint.CLAIMING)
                    return taken
            except Error as error:
                if around or not is_held(error):
                    raise
                self._skip_locked_until = monotonic() + SKIP_LOCKED_FOR
