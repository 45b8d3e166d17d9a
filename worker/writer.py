"""The one writer of a worker process: claims, progress and ends of all its operations go through here, together.

Operation threads talk to hosts and never to the database. What they have to say is gathered and written by one thread
in one transaction a tick, so the number of statements does not grow with the number of operations, a process needs one
connection however many operations it has in flight, and no transaction is ever open while anything waits for a host.
"""

import logging
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
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
from .progress import Piece, Progress, write_progress
from .results import OperationResult, record_results

FLUSH_INTERVAL = 0.2  # seconds that progress is gathered before it is written
# Seconds from one answer to the next while others are in flight. A round costs much the same for one result as for
# thirty, so the more operations may still end, the longer they are waited for; the last one is not delayed.
MIN_INTERVAL, INTERVAL_EACH, MAX_INTERVAL = 0.03, 0.008, 0.25
WRITER_TIMEOUT = 60.0  # seconds that one round of the writing thread may take: then this process is of no use any more
HUNG_AFTER = 300.0  # seconds without a sign of life after which a thread hangs: whatever it may wait for ends sooner
POLL_INTERVAL = 1.0  # seconds after which it is looked whether an operation was taken away or is to be cancelled
SKIP_LOCKED_FOR = 5.0  # seconds for which rows that others hold are skipped, after one was waited for in vain
log = logging.getLogger(__name__)


class BatchWriter:
    """Thread-safe; `claim`, `finish` and `next` wait for their commit, `report` does not."""

    def __init__(self, owner: str, slots: int):
        self.owner, self.slots = owner, slots
        self.stopping = False
        self._change = threading.Condition()
        self._write_lock = threading.Lock()  # who holds it may write
        self._held: dict[int, Progress] = {}  # what this process has in flight, by operation
        self._claims: list[tuple[ClaimRequest, Future]] = []
        self._results: list[tuple[OperationResult, Future]] = []
        self._renewed = self._polled = self._answered = 0.0
        self._skip_locked_until = 0.0
        self._closed = False
        self._pulse = watchdog.watch("writer", WRITER_TIMEOUT)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    # ---- what operation threads call -------------------------------------------------------------------------------

    def claim(self, task_id: str = "") -> Claim | None:
        """The next operation that is due, or None. Raises DatabaseError where the rows cannot be asked."""
        return next(iter(self.claim_many(1, task_id)), None)

    def claim_many(self, most: int, task_id: str = "") -> list[Claim]:
        """The next operations that are due, up to `most`: one wait for all of them. Raises DatabaseError."""
        return [] if self.stopping else self._ask((self._claims, ClaimRequest(most, task_id)))[0]

    def report(self, progress: Progress) -> None:
        """Something is to be written about an operation; it will be, within a tick or two."""
        if not progress.awaits_writing:
            with self._change:
                progress.awaits_writing = True
                self._change.notify()

    def finish(self, result: OperationResult) -> bool:
        """Result, version, status and unlock in one transaction. False: another worker owns it, nothing was written."""
        return self._ask((self._results, result))[0]

    def next(self, result: OperationResult, task_id: str = "") -> tuple[bool, Claim | None]:
        """What `finish` and then `claim` would answer, at the price of one wait."""
        if self.stopping:
            return self.finish(result), None
        kept, claims = self._ask((self._results, result), (self._claims, ClaimRequest(1, task_id)))
        return kept, next(iter(claims), None)

    @property
    def in_flight(self) -> int:
        return len(self._held)

    def stop(self) -> None:
        """Claims nothing more; operation threads are told to leave their hosts to go on by themselves."""
        with self._change:
            self.stopping = True
            self._change.notify()

    def _ask(self, *questions: tuple[list, object]) -> list:
        futures: list[Future] = [Future() for _ in questions]
        with self._change:
            for (queue, what), future in zip(questions, futures, strict=True):
                queue.append((what, future))
            self._change.notify()
        return [future.result() for future in futures]

    # ---- the writing thread ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Ends the thread. What is not written yet is not written: for a process that ends, and for tests."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join(timeout=30)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is written inside: what comes together then is written together."""
        with self._write_lock:
            yield

    def _run(self) -> None:
        while not self._closed:
            self._wait()
            with self._write_lock, self._pulse:
                self._work()
        watchdog.forget(self._pulse)
        connection.close()

    def _work(self) -> None:
        if not self._closed:
            with self._change:  # both at once: a claim that came with an result counts on its slot
                results, self._results = self._results, []
                asked, self._claims = self._claims, []
            for work in (partial(self._write, results), partial(self._take, asked)):
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
                    log.exception("the writer met an error that it does not know")
                    connection.close()
                    sleep(0.5)

    def _wait(self) -> None:
        """Wait until a thread waits for a commit, news is FLUSH_INTERVAL old, or it is time to poll."""
        until_look = self._polled + POLL_INTERVAL - monotonic()
        with self._change:
            asked = lambda: self._claims or self._results or self._closed
            written = lambda: any(p.awaits_writing for p in self._held.values())
            if self._change.wait_for(
                lambda: asked() or written(), timeout=max(0.0, until_look) if self._held else None
            ):
                self._change.wait_for(asked, timeout=0 if asked() else FLUSH_INTERVAL)
            if asked():
                others = lambda: len(self._held) - len(self._results)
                pace = min(MAX_INTERVAL, max(MIN_INTERVAL, INTERVAL_EACH * others())) if self._results else MIN_INTERVAL
                self._change.wait_for(
                    lambda: self._closed or others() <= 0, timeout=max(0.0, self._answered + pace - monotonic())
                )
                self._answered = monotonic()

    def _write(self, results: list[tuple[OperationResult, Future]]) -> None:
        self._release_hung(results)
        with self._change:
            held = dict(self._held)
        renew = bool(held) and monotonic() - self._renewed >= settings.OPERATION_LEASE_SECONDS / 3
        ended = {result.operation.pk for result, _ in results}
        awaiting = [progress for number, progress in held.items() if progress.awaits_writing or number in ended]
        poll = bool(held) and monotonic() - self._polled >= POLL_INTERVAL
        if not (results or awaiting or renew or poll):
            return
        self._polled = monotonic()
        failpoint(Failpoint.WRITING)
        write = self._write_skipping_locked if self._skips_locked else self._write_together
        write(held, awaiting, results, renew)

    @property
    def _skips_locked(self) -> bool:
        return monotonic() < self._skip_locked_until

    def _write_together(
        self,
        held: dict[int, Progress],
        awaiting: list[Progress],
        results: list[tuple[OperationResult, Future]],
        renew: bool,
        around: bool = False,
    ) -> None:
        try:
            kept, written = self._transaction(held, awaiting, results, renew, around)
        except BaseException:
            self._put_back(results)
            raise
        failpoint(Failpoint.ENDED if results else Failpoint.RECORDED)
        for progress, taken in written:
            progress.forget(taken)
        names = [result.name for result, _ in results]
        for name in names:
            self._forget(name)
        for name, (_, future) in zip(names, results, strict=True):
            future.set_result(name in kept)

    def _write_skipping_locked(
        self,
        held: dict[int, Progress],
        awaiting: list[Progress],
        results: list[tuple[OperationResult, Future]],
        renew: bool,
    ) -> None:
        """Rows are held by others: that must not keep the other leases from being renewed. First those, then the
        progress, then each result by itself. One that was waited for in vain is the last one the next time."""
        rest = list(results)
        try:
            self._write_together(held, [], [], renew, around=True)
            self._write_together(held, awaiting, [], False, around=True)
            while rest:
                one = rest.pop(0)
                mine = {key: progress for key, progress in held.items() if key == one[0].operation.pk}
                try:
                    self._write_together(mine, list(mine.values()), [one], False, around=True)
                except RowsHeld:
                    sleep(MIN_INTERVAL)
        except BaseException:
            self._put_back(rest)
            raise

    def _put_back(self, results: list[tuple[OperationResult, Future]]) -> None:
        with self._change:
            self._results = results + self._results

    def _forget(self, name: tuple[int, int]) -> None:
        """Under another fence the operation may be this process's again: that one stays."""
        with self._change:
            if (progress := self._held.get(name[0])) is not None and progress.name == name:
                del self._held[name[0]]

    def _release_hung(self, results: list[tuple[OperationResult, Future]]) -> None:
        """A thread that hangs is like a worker that is dead: its lease is renewed no more, so the operation is taken
        over, by this process as well as by another; whatever the thread still says under its fence is refused."""
        waiting = {result.name for result, _ in results}
        with self._change:
            held = list(self._held.values())
        for progress in held:
            if monotonic() - progress.heard > HUNG_AFTER and progress.name not in waiting:
                frame = sys._current_frames().get(progress.thread or 0)
                where = "".join(traceback.format_stack(frame)) if frame else "-"
                log.error("operation %s: its thread hangs, and the operation is left:\n%s", progress.name[0], where)
                progress.lost = True
                self._forget(progress.name)

    def _transaction(
        self,
        held: dict[int, Progress],
        awaiting: list[Progress],
        results: list[tuple[OperationResult, Future]],
        renew: bool,
        around: bool,
    ) -> tuple[set[Name], list[tuple[Progress, Piece]]]:
        with transaction.atomic():
            # Deployments are locked before operations, by everybody; see claims.py.
            above = {result.operation.deployment_id for result, _ in results}
            locked = advance.lock(above, around)
            kept = owned(self.owner, held, renew, around)
            if len(locked) < len(above) or (results and any(not p.lost and p.name not in kept for p in held.values())):
                raise RowsHeld
            written = [(progress, progress.take()) for progress in awaiting if progress.name in kept]
            told = write_progress(written)
            told += record_results([result for result, _ in results if result.name in kept])
            notify.publish(told)
            failpoint(Failpoint.ENDING if results else Failpoint.WRITTEN)
        if renew:
            self._renewed = monotonic()
        return kept, written

    def _take(self, asked: list[tuple[ClaimRequest, Future]]) -> None:
        with self._change:
            mine = Counter(progress.operation.deployment_id for progress in self._held.values())
            held = list(self._held)
        if not asked:
            return
        free = 0 if self.stopping else self.slots - mine.total()
        wanted = [asker.most for asker, _ in asked]
        taken: list[Claim] = []
        try:
            if free > 0:
                taken = self._claimed(mine, held, sum(wanted), free, asked[0][0].task_id)
        except BaseException as error:  # whatever it was, a thread waits for an answer
            for _, future in asked:
                future.set_exception(error)
            raise
        if taken:
            failpoint(Failpoint.CLAIMED if taken[0].fresh else Failpoint.TAKEN_OVER)
        with self._change:
            if not self._held:
                self._renewed = monotonic()
            for one in taken:
                self._held[one.operation.pk] = Progress(one.operation)
        for (_, future), share in zip(asked, deal(taken, wanted), strict=True):
            future.set_result(share)

    def _claimed(self, mine: Counter, held: list[int], wanted: int, free: int, task_id: str) -> list[Claim]:
        """Return what could be claimed, without rows that another transaction holds for long."""
        while True:
            around = self._skips_locked
            try:
                with transaction.atomic():
                    taken, told = claim(self.owner, mine, held, wanted, free, task_id, around)
                    notify.publish(told)
                    if taken:
                        failpoint(Failpoint.CLAIMING)
                    return taken
            except Error as error:
                if around or not is_held(error):
                    raise
                self._skip_locked_until = monotonic() + SKIP_LOCKED_FOR

    def progress_of(self, number: int) -> Progress:
        return self._held[number]
