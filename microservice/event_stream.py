"""Live events: one thread a process reads the rows and hands each to the subscribers that may see it.

A hundred subscribers cost the database as much as one. The thread never waits for a subscriber: one that reads too
slowly is dropped, and comes back with the id of the last event that it saw. Without subscribers nothing is read.
"""

import json
import logging
import queue
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import Error
from django.db.models import Max

from access import turns
from access.turns import Turns
from asset.models import HostTeam
from audit import events
from audit.models import Event
from runtime import watchdog
from runtime.db_connections import release_connection

from .models import Deployment, MicroService

log = logging.getLogger(__name__)

POLL_INTERVAL = 0.25  # seconds between two reads
# Where a client waits for an answer, it may come late by 5 ms, or by 2 % of the time that it has waited.
MIN_EAGER_INTERVAL, EAGER_SHARE = 0.005, 0.02
BATCH = 500  # rows of one read
HUNG_AFTER = 60.0  # seconds of one read, after which no stream of this process gets anything new
QUEUE_SIZE = 2000  # events that may wait for one subscriber
NO_TEAMS: frozenset[int] = frozenset()
DELETED_SERVICE = -1  # in place of the team of a service that was deleted


@dataclass(frozen=True, eq=False)
class StreamEvent:
    """An event, with what decides who may see it: its service, the service's team, and the teams of its host.

    Ids are 0 where there is none: `deployment_id` of a change by hand, `service_id` of an event about a host.
    """

    id: int
    deployment_id: int
    service_id: int
    team_id: int | None
    kind: str
    data: dict[str, Any]
    created: str
    host_teams: frozenset[int] = frozenset()

    @cached_property
    def text(self) -> bytes:
        """The event in the format of a stream, rendered once for all. JSON has no bare line ends that could begin a
        field."""
        about = {"deployment_id": self.deployment_id} if self.deployment_id else {}
        data = {**about, "service_id": self.service_id, "at": self.created, **self.data}
        return f"id: {self.id}\nevent: {self.kind}\ndata: {json.dumps(data)}\n\n".encode()


class TooManyStreams(Exception):
    """All slots for live streams in this process are taken."""


class _ServiceOfDeployment:
    """The service of each deployment. It never changes, so the newest few thousand are remembered."""

    def __init__(self, size: int = 5000) -> None:
        self._known: OrderedDict[int, int] = OrderedDict()
        self._size = size
        self._lock = threading.Lock()

    def of(self, deployment_ids: Iterable[int]) -> dict[int, int]:
        """Return {deployment: service}, without deployments that do not exist."""
        wanted = set(deployment_ids)
        with self._lock:
            known = {pk: self._known[pk] for pk in wanted if pk in self._known}
        missing = wanted - set(known)
        if missing:
            known |= dict(Deployment.objects.filter(pk__in=missing).values_list("pk", "microservice_id"))
            with self._lock:
                self._known.update((pk, known[pk]) for pk in missing if pk in known)
                while len(self._known) > self._size:
                    self._known.popitem(last=False)
        return known


_services = _ServiceOfDeployment()


def read(last_id: int, deployment_id: int | None = None) -> list[StreamEvent]:
    """Read the next events after an id, BATCH at most."""
    rows = events.after(last_id, deployment_id, BATCH)
    known = _services.of(row.deployment_id for row in rows if row.deployment_id)
    service_ids = [known.get(row.deployment_id or 0, row.data.get("service_id", 0)) for row in rows]
    services = MicroService.objects.order_by().filter(pk__in=set(service_ids))
    teams = dict(services.values_list("pk", "team")) if any(service_ids) else {}
    host_teams = _teams_of_hosts(row.data.get("id", 0) for row in rows if row.kind == "host")
    return [
        StreamEvent(
            row.pk,
            row.deployment_id or 0,
            service_id,
            teams.get(service_id, DELETED_SERVICE),
            row.kind,
            row.data,
            row.created.isoformat(),
            host_teams.get(row.data.get("id", 0), NO_TEAMS) if row.kind == "host" else NO_TEAMS,
        )
        for row, service_id in zip(rows, service_ids, strict=True)
    ]


def _teams_of_hosts(host_ids: Iterable[int]) -> dict[int, frozenset[int]]:
    """Return {host: teams} of the hosts that belong to teams. One query, none without hosts."""
    teams: dict[int, set[int]] = {}
    if wanted := set(host_ids):
        for host, team in HostTeam.objects.filter(host__in=wanted).values_list("host", "team"):
            teams.setdefault(host, set()).add(team)
    return {host: frozenset(numbers) for host, numbers in teams.items()}


def newest() -> int:
    """Return the id of the newest event; 0 where there is none."""
    return Event.objects.aggregate(newest=Max("id"))["newest"] or 0


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
        """Subscribe to every wanted event that becomes visible from now on. Raises TooManyStreams without a free slot.

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
