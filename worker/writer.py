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

from deployer.engine import failpoints
from microservice import notify
from microservice.deployments import advance
from runtime import watchdog
from runtime.database_errors import is_held

from .claims import Claim, claim
from .dealing import Asker, shares
from .leases import Hindered, still_mine
from .progress import Progress, write_progress
from .results import Ending, end

TICK = 0.2  # seconds that progress is gathered before it is written
# Seconds from one answer to the next while others are in flight. A round costs much the same for one ending as for
# thirty, so the more may still end, the longer they are waited for; the last one waits for nobody.
PACE, PACE_EACH, SLOWEST_PACE = 0.03, 0.008, 0.25
HUNG_WRITER = 60.0  # seconds that one round of the writing thread may take: then this process is of no use any more
HUNG = 300.0  # seconds without a sign of life after which a thread hangs: whatever it may wait for ends sooner
LOOK = 1.0  # seconds after which it is looked whether an operation was taken away or is to be cancelled
AROUND = 5.0  # seconds for which it goes around rows that somebody holds, once it has waited for one in vain
log = logging.getLogger(__name__)


class Ledger:
    """Thread-safe; `claim`, `finish` and `next` wait for their commit, `tell` does not."""

    def __init__(self, owner: str, slots: int):
        self.owner, self.slots = owner, slots
        self.stopping = False
        self._change = threading.Condition()
        self._pen = threading.Lock()  # who holds it may write
        self._held: dict[int, Progress] = {}  # what this process has in flight, by operation
        self._claims: list[tuple[Asker, Future]] = []
        self._endings: list[tuple[Ending, Future]] = []
        self._renewed = self._looked = self._answered = 0.0
        self._around_until = 0.0
        self._closed = False
        self._pulse = watchdog.watch("ledger", HUNG_WRITER)
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    # ---- what operation threads call -------------------------------------------------------------------------------

    def claim(self, task_id: str = "") -> Claim | None:
        """The next operation that is due, or None. Raises DatabaseError where the rows cannot be asked."""
        return next(iter(self.claim_some(1, task_id)), None)

    def claim_some(self, most: int, task_id: str = "") -> list[Claim]:
        """The next operations that are due, up to `most`: one wait for all of them. Raises DatabaseError."""
        return [] if self.stopping else self._ask((self._claims, Asker(most, task_id)))[0]

    def tell(self, progress: Progress) -> None:
        """Something is to be written about an operation; it will be, within a tick or two."""
        if not progress.awaits_writing:
            with self._change:
                progress.awaits_writing = True
                self._change.notify()

    def finish(self, ending: Ending) -> bool:
        """Result, version, status and unlock in one transaction. False: somebody else owns it, nothing was written."""
        return self._ask((self._endings, ending))[0]

    def next(self, ending: Ending, task_id: str = "") -> tuple[bool, Claim | None]:
        """What `finish` and then `claim` would answer, at the price of one wait."""
        if self.stopping:
            return self.finish(ending), None
        kept, claims = self._ask((self._endings, ending), (self._claims, Asker(1, task_id)))
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
    def held_back(self) -> Iterator[None]:
        """Nothing is written inside: what comes together then is written together."""
        with self._pen:
            yield

    def _run(self) -> None:
        while not self._closed:
            self._wait()
            with self._pen, self._pulse:
                self._work()
        watchdog.forget(self._pulse)
        connection.close()

    def _work(self) -> None:
        if not self._closed:
            with self._change:  # both at once: a claim that came with an ending counts on its slot
                endings, self._endings = self._endings, []
                asked, self._claims = self._claims, []
            for work in (partial(self._write, endings), partial(self._take, asked)):
                try:
                    work()
                except Error as error:  # what is gathered stays, and is written when the database is back
                    log.warning("the database did not take it: %s", type(error).__name__)
                    if is_held(error):  # the connection is good, and the next try goes around whatever is held
                        self._around_until = monotonic() + AROUND
                        continue
                    connection.close()
                    sleep(0.5)
                except Exception:  # without this thread nothing would ever be unlocked: it outlives any error
                    log.exception("the ledger met an error that it does not know")
                    connection.close()
                    sleep(0.5)

    def _wait(self) -> None:
        """Until somebody waits for a commit, there has been news for a tick, or it is time to look."""
        until_look = self._looked + LOOK - monotonic()
        with self._change:
            asked = lambda: self._claims or self._endings or self._closed
            written = lambda: any(p.awaits_writing for p in self._held.values())
            if self._change.wait_for(
                lambda: asked() or written(), timeout=max(0.0, until_look) if self._held else None
            ):
                self._change.wait_for(asked, timeout=0 if asked() else TICK)
            if asked():
                others = lambda: len(self._held) - len(self._endings)
                pace = min(SLOWEST_PACE, max(PACE, PACE_EACH * others())) if self._endings else PACE
                self._change.wait_for(
                    lambda: self._closed or others() <= 0, timeout=max(0.0, self._answered + pace - monotonic())
                )
                self._answered = monotonic()

    def _write(self, endings: list[tuple[Ending, Future]]) -> None:
        self._leave_the_hung(endings)
        with self._change:
            held = dict(self._held)
        renew = bool(held) and monotonic() - self._renewed >= settings.OPERATION_LEASE_SECONDS / 3
        ended = {ending.operation.pk for ending, _ in endings}
        awaiting = [progress for number, progress in held.items() if progress.awaits_writing or number in ended]
        look = bool(held) and monotonic() - self._looked >= LOOK
        if not (endings or awaiting or renew or look):
            return
        self._looked = monotonic()
        failpoints.here(failpoints.Point.WRITING)
        write = self._write_around if self._goes_around else self._write_together
        write(held, awaiting, endings, renew)

    @property
    def _goes_around(self) -> bool:
        return monotonic() < self._around_until

    def _write_together(self, held, awaiting, endings, renew, around: bool = False) -> None:
        try:
            kept, written = self._transaction(held, awaiting, endings, renew, around)
        except BaseException:
            self._put_back(endings)
            raise
        failpoints.here(failpoints.Point.ENDED if endings else failpoints.Point.RECORDED)
        for progress, taken in written:
            progress.forget(taken)
        names = [(ending.operation.pk, ending.operation.fence) for ending, _ in endings]
        for name in names:
            self._let_go(name)
        for name, (_, future) in zip(names, endings, strict=True):
            future.set_result(name in kept)

    def _write_around(self, held, awaiting, endings, renew) -> None:
        """Somebody holds rows: that must not keep the leases of all others from being renewed. First those, then the
        progress, then each ending by itself. One that was waited for in vain is the last one the next time."""
        rest = list(endings)
        try:
            self._write_together(held, [], [], renew, around=True)
            self._write_together(held, awaiting, [], False, around=True)
            while rest:
                one = rest.pop(0)
                mine = {key: progress for key, progress in held.items() if key == one[0].operation.pk}
                try:
                    self._write_together(mine, list(mine.values()), [one], False, around=True)
                except Hindered:
                    sleep(PACE)
        except BaseException:
            self._put_back(rest)
            raise

    def _put_back(self, endings: list[tuple[Ending, Future]]) -> None:
        with self._change:
            self._endings = endings + self._endings

    def _let_go(self, name: tuple[int, int]) -> None:
        """Under another fence the operation may be this process's again: that one stays."""
        with self._change:
            if (progress := self._held.get(name[0])) is not None and progress.name == name:
                del self._held[name[0]]

    def _leave_the_hung(self, endings: list[tuple[Ending, Future]]) -> None:
        """A thread that hangs is like a worker that is dead: its lease is renewed no more, so the operation is taken
        over, by this process as well as by another; whatever the thread still says under its fence is refused."""
        waiting = {(ending.operation.pk, ending.operation.fence) for ending, _ in endings}
        with self._change:
            held = list(self._held.values())
        for progress in held:
            if monotonic() - progress.heard > HUNG and progress.name not in waiting:
                frame = sys._current_frames().get(progress.thread or 0)
                where = "".join(traceback.format_stack(frame)) if frame else "-"
                log.error("operation %s: its thread hangs, and the operation is left:\n%s", progress.name[0], where)
                progress.lost = True
                self._let_go(progress.name)

    def _transaction(self, held, awaiting, endings, renew, around):
        with transaction.atomic():
            # Deployments are locked before operations, by everybody; see claims.py.
            above = {ending.operation.deployment_id for ending, _ in endings}
            locked = advance.lock(above, around)
            kept = still_mine(self.owner, held, renew, around)
            if len(locked) < len(above) or (endings and any(not p.lost and p.name not in kept for p in held.values())):
                raise Hindered
            written = [(progress, progress.take()) for progress in awaiting if progress.name in kept]
            told = write_progress(written)
            told += end([ending for ending, _ in endings if (ending.operation.pk, ending.operation.fence) in kept])
            notify.publish(told)
            failpoints.here(failpoints.Point.ENDING if endings else failpoints.Point.WRITTEN)
        if renew:
            self._renewed = monotonic()
        return kept, written

    def _take(self, asked: list[tuple[Asker, Future]]) -> None:
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
        except BaseException as error:  # whatever it was, somebody waits for an answer
            for _, future in asked:
                future.set_exception(error)
            raise
        if taken:
            failpoints.here(failpoints.Point.CLAIMED if taken[0].fresh else failpoints.Point.TAKEN_OVER)
        with self._change:
            if not self._held:
                self._renewed = monotonic()
            for one in taken:
                self._held[one.operation.pk] = Progress(one.operation)
        for (_, future), share in zip(asked, shares(taken, wanted), strict=True):
            future.set_result(share)

    def _claimed(self, mine: Counter, held: list[int], wanted: int, free: int, task_id: str) -> list[Claim]:
        """What could be claimed; of rows that somebody holds for long, whatever can be had without them."""
        while True:
            around = self._goes_around
            try:
                with transaction.atomic():
                    taken, told = claim(self.owner, mine, held, wanted, free, task_id, around)
                    notify.publish(told)
                    if taken:
                        failpoints.here(failpoints.Point.CLAIMING)
                    return taken
            except Error as error:
                if around or not is_held(error):
                    raise
                self._around_until = monotonic() + AROUND

    def progress_of(self, number: int) -> Progress:
        return self._held[number]
