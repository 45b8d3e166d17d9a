"""A worker's lease on a build. It is renewed while the build runs, and the build ends before it runs out.

Another worker may begin once the lease has run out, perhaps on another machine. So a worker that cannot renew it (its
database is away, or it was frozen) ends its build by its own clock, some seconds earlier. Builds from git and builds at
an engine are held alike: what runs is ended by the callable that it gave to `Lease.ending`.
"""

import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from .models import OPEN, Build
from .sandbox.holding import now

log = logging.getLogger(__name__)
MARGIN = 3.0  # seconds before the lease's end when the build is ended: time for its processes to go
REPORT_INTERVAL = 1.0  # seconds between two renewals by the build's own thread
_held: "weakref.WeakSet[Lease]" = weakref.WeakSet()


class LeaseLost(Exception):
    """The build is not this worker's any more: it was cancelled, or its lease ran out. Nothing more may be stored."""


class WorkerStopped(LeaseLost):
    """This worker is being stopped: another one begins the build again."""


def seconds() -> int:
    return max(settings.OPERATION_LEASE_SECONDS, 10)


def end_of_lease() -> CombinedExpression:
    """Return when a lease that begins now runs out, on the database's clock."""
    return Now() + timedelta(seconds=seconds())


def mark_of(owner: str, number: int) -> str:
    """Return the mark on the processes of a build, which the next worker can tell from the row that it takes over."""
    return f"{owner.rpartition(':')[2]}-{number}"


class Lease:
    """`with Lease(build) as lease:` renews the lease of a claimed build until the end of the block.

    Raises LeaseLost at the latest when the block calls `check`, `report` or `renew`.
    """

    def __init__(self, build: Build):
        self.build, self.owner, self.mark = build, build.owner, mark_of(build.owner, build.pk)
        self._until = now() + 1  # for the first renewal
        self._renewed = 0.0
        self._log: str | None = None
        self._lost: LeaseLost | None = None
        self._ends: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self._done = threading.Event()

    def __enter__(self) -> "Lease":
        self.renew()
        for name, act in (("build-lease", self._renew_beside), ("build-fence", self._watch)):
            threading.Thread(target=act, name=name, daemon=True).start()
        _held.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    # ---- what the build's own thread calls ---------------------------------------------------------------------------

    def check(self) -> None:
        if self._lost is None and now() >= self._until:
            self.lose(LeaseLost())
        if self._lost is not None:
            raise self._lost

    def renew(self, **fields: Any) -> None:
        """Renew the lease now. In a transaction, only its commit means anything: a worker that lost the build rolls it
        back."""
        self.check()
        asked = now()  # the lease of the row begins later: this clock is never behind it
        ours = Build.objects.filter(pk=self.build.pk, owner=self.owner, status__in=OPEN)
        if not ours.update(lease=end_of_lease(), **fields):
            self.lose(LeaseLost())
            self.check()
        with self._lock:
            self._renewed, self._until = asked, max(self._until, asked + seconds() - MARGIN)

    def report(self, text: str) -> None:
        """Take the end of the build's output, which is written with the next renewal."""
        self.check()
        self._log = text
        if now() - self._renewed >= REPORT_INTERVAL:
            self.renew(log=text)
            self._log = None

    def write_log(self) -> None:
        """Write the output that no renewal has written, if the row still names this worker."""
        if self._log is not None:
            Build.objects.filter(pk=self.build.pk, owner=self.owner).update(log=self._log)

    def until(self) -> float:
        return self._until

    @contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[None]:
        """Call `end` in another thread if the build is lost inside."""
        with self._lock:
            self._ends.append(end)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._ends.remove(end)

    # ---- what other threads call -------------------------------------------------------------------------------------

    def lose(self, reason: LeaseLost) -> None:
        """End what runs. The first reason counts."""
        with self._lock:
            if self._lost is not None:
                return
            self._lost, ends = reason, list(self._ends)
        for end in ends:
            with suppress(Exception):
                end()

    def _watch(self) -> None:
        """Lose the build by the clock alone: the database may not answer for long."""
        while self._lost is None and not self._done.wait(min(1.0, max(0.05, self._until - now()))):
            with suppress(LeaseLost):
                self.check()

    def _renew_beside(self) -> None:
        """Renew where the build's own thread does not get to it: while it stores a package, say, or reads a socket."""
        pause = seconds() / 3
        while self._lost is None and not self._done.wait(max(0.05, self._renewed + pause - now())):
            if now() - self._renewed < pause:
                continue
            try:
                self.renew()
            except LeaseLost:
                return
            except Error as error:
                log.warning("the lease of %s could not be renewed: %s", self.build, type(error).__name__)
                self._done.wait(0.5)
            finally:
                connection.close()


def lose_all(reason: LeaseLost) -> None:
    """End every build of this process."""
    for lease in list(_held):
        lease.lose(reason)
