"""Live events: one thread a process reads the rows and hands each to the subscribers that may see it.

A hundred subscribers cost the database as much as one. The thread never waits for a subscriber: one that reads too
slowly is dropped, and comes back with the id of the last event that it saw. Without subscribers nothing is read.
"""

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable

from django.conf import settings
from django.db import Error

from access import turns
from access.turns import Turns
from audit import events
from runtime import watchdog
from runtime.db_connections import release_connection

from .stream_events import BATCH, StreamEvent, newest, read

log = logging.getLogger(__name__)

POLL_INTERVAL = 0.25  # seconds between two reads
# Where a client waits for an answer, it may come late by 5 ms, or by 2 % of the time that it has waited.
MIN_EAGER_INTERVAL, EAGER_SHARE = 0.005, 0.02
HUNG_AFTER = 60.0  # seconds of one read, after which no stream of this process gets anything new
QUEUE_SIZE = 2000  # events that may wait for one subscriber


class TooManyStreams(Exception):
    """All slots for live streams in this process are taken."""


class Subscriber:
    """A subscription to the broadcaster. `close` ends it; it may be called repeatedly and from any thread."""

    def __init__(
        self,
        broadcaster: "Broadcaster",
        wants: Callable[[StreamEvent], bool],
        has_slot: bool,
        eager: bool = False,
        account: Hashable = None,
    ) -> None:
        self.dropped = False  # it read too slowly or lost its slot to another account: later events are in the rows
        self.account = account
        self.has_slot = has_slot
        self.joined = time.monotonic()
        self._broadcaster, self._wants, self._eager = broadcaster, wants, eager
        self._queue: queue.Queue[StreamEvent] = queue.Queue(QUEUE_SIZE)

    def next(self, timeout: float) -> StreamEvent | None:
        """Return the next event, or None after `timeout` seconds; at once where this subscriber was dropped."""
        try:
            return self._queue.get(timeout=0 if self.dropped else max(0, timeout))
        except queue.Empty:
            return None

    def take(self, timeout: float) -> list[StreamEvent]:
        """Return the next event with all that are queued by then; [] after `timeout` seconds, as in `next`."""
        taken = [event] if (event := self.next(timeout)) else []
        while taken and not self._queue.empty():  # no other thread takes from it
            taken.append(self._queue.get_nowait())
        return taken

    def offer(self, event: StreamEvent) -> None:
        """Queue an event that is wanted; drop the subscriber where its queue is full."""
        if self.dropped or not self._wants(event):
            return
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped = True

    def poll_interval(self, usual: float) -> float:
        """Return the seconds between two reads that are enough for this subscriber."""
        if not self._eager:
            return usual
        return min(usual, max(MIN_EAGER_INTERVAL, EAGER_SHARE * (time.monotonic() - self.joined)))

    def close(self) -> None:
        self._broadcaster.leave(self)


class Broadcaster:
    """The subscribers of one process and the thread that reads for them, which lives while there are any.

    Slots are shared fairly: `per_account` at most for one account, and where all are taken, the account with the most
    gives one to an account with fewer. `turns`: counts the threads of the process that are kept for long.
    """

    def __init__(
        self, slots: int, poll_interval: float = POLL_INTERVAL, per_account: int = 0, turns: Turns | None = None
    ) -> None:
        self.slots, self.poll_interval, self.per_account = slots, poll_interval, per_account or slots
        self._turns = turns
        self._subscribers: set[Subscriber] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_id = 0
        self._pulse = watchdog.watch("event-broadcaster", HUNG_AFTER)

    def join(
        self,
        wants: Callable[[StreamEvent], bool] = lambda event: True,
        slot: bool = True,
        eager: bool = False,
        account: Hashable = None,
    ) -> Subscriber:
        """Subscribe to every wanted event that becomes visible from now on. Raise TooManyStreams without a free slot.

        `eager`: a client waits for this event alone, so the rows are read more often. `account`: whose slot it takes.
        """
        start = newest()  # before the lock, which must not be held during a query
        with self._lock:
            if slot:
                self._take_slot(account)
            subscriber = Subscriber(self, wants, slot, eager, account)
            self._subscribers.add(subscriber)
            if eager:
                self._wake.set()
            if self._thread is None:
                self._last_id = start
                self._thread = threading.Thread(target=self._run, name="event-broadcaster", daemon=True)
                self._thread.start()
            return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        with self._lock:
            self._leave(subscriber)

    def _leave(self, subscriber: Subscriber) -> None:
        if subscriber in self._subscribers:
            self._subscribers.discard(subscriber)
            if subscriber.has_slot and self._turns:
                self._turns.leave()

    def _take_slot(self, account: Hashable) -> None:
        """Take a slot, if need be from the account with the most. Call with the lock."""
        taken = [subscriber for subscriber in self._subscribers if subscriber.has_slot]
        counts = Counter(subscriber.account for subscriber in taken)
        if account is not None and counts[account] >= self.per_account:
            raise TooManyStreams(TooManyStreams.__doc__)
        full = len(taken) >= self.slots
        if not full and (self._turns is None or self._turns.enter()):
            return
        largest = max((other for other in counts if other is not None), key=lambda other: counts[other], default=None)
        if account is None or largest is None or counts[largest] <= counts[account] + 1:
            raise TooManyStreams(TooManyStreams.__doc__)
        loser = max((subscriber for subscriber in taken if subscriber.account == largest), key=lambda one: one.joined)
        loser.dropped = True
        self._leave(loser)
        if self._turns and not self._turns.enter():
            raise TooManyStreams(TooManyStreams.__doc__)

    @property
    def subscriber_count(self) -> int:
        return len(self._subscribers)

    def _run(self) -> None:
        try:
            while self._has_subscribers():
                with self._pulse:
                    more = self._broadcast()
                if not more:
                    self._wake.wait(self._pause())
                    self._wake.clear()
        finally:
            release_connection()

    def _has_subscribers(self) -> bool:
        """Return whether to go on. Holds the lock, so that no one joins a thread that has just decided to end."""
        with self._lock:
            if not self._subscribers:
                self._thread = None
            return self._thread is not None

    def _pause(self) -> float:
        with self._lock:
            return min((subscriber.poll_interval(self.poll_interval) for subscriber in self._subscribers), default=0)

    def _broadcast(self) -> bool:
        """Read and hand out new events; return whether there may be more at once."""
        try:
            batch = read(self._last_id) if events.any_after(self._last_id) else []
        except Error as error:
            # The database may be restarting. The rows are still there when it is back, and so are the subscribers.
            log.warning("the event broadcaster could not read and retries: %s", type(error).__name__)
            release_connection()
            return False
        except Exception:  # every stream of this process depends on this thread: it outlives any error
            log.exception("unexpected error in the event broadcaster")
            release_connection()
            return False
        if not batch:
            return False
        with self._lock:
            subscribers = list(self._subscribers)
        for event in batch:
            for subscriber in subscribers:
                subscriber.offer(event)
        self._last_id = batch[-1].id
        return len(batch) == BATCH


broadcaster = Broadcaster(settings.MAX_EVENT_STREAMS, per_account=settings.MAX_EVENT_STREAMS_PER_USER, turns=turns.long)
