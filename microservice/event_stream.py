"""Live events for everybody who watches: one thread a process reads the rows, and hands each to whom it concerns.

A hundred watchers cost the database as much as one. Nobody is waited for: who reads too slowly is let go, and comes
back with the id of the last event that it saw. Nothing is read while nobody watches.
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

from django.conf import settings
from django.db import Error
from django.db.models import Max

from access import turns
from access.turns import Turns
from asset.models import HostTeam
from audit import events
from audit.models import Event
from runtime import watchdog
from runtime.db_connections import give_back

from .models import Deployment, MicroService

log = logging.getLogger(__name__)

POLL = 0.25  # seconds between two looks at the rows
QUICK, LATE = 0.005, 0.02  # where a client waits for an answer: it comes late by 5 ms, or by 2% of what it waited
BATCH = 500  # rows in one look
HUNG = 60.0  # seconds that one look may take: after it nobody at this process sees anything new
ROOM = 2000  # events that may wait for one watcher
NOBODY: frozenset[int] = frozenset()
GONE = -1  # the team of a service that is not there any more


@dataclass(frozen=True, eq=False)
class Item:
    """An event, with the service that it is about and whose that is: what a watcher must know to see whether it may.

    What somebody changed without a deployment has none: 0. A host is no service's: 0. GONE: the service is.
    """

    id: int
    deployment_id: int
    service_id: int
    team_id: int | None
    kind: str
    data: dict
    created: str
    host_teams: frozenset[int] = frozenset()  # of an event about a host: whose that is

    @cached_property
    def text(self) -> bytes:
        """In a stream's form, made once for all. JSON has no bare line ends: no value can begin a field of its own."""
        about = {"deployment_id": self.deployment_id} if self.deployment_id else {}
        data = {**about, "service_id": self.service_id, "at": self.created, **self.data}
        return f"id: {self.id}\nevent: {self.kind}\ndata: {json.dumps(data)}\n\n".encode()


class NoRoom(Exception):
    """Every slot for live streams in this process is taken."""


class Services:
    """Which service a deployment is of. Never changes, so it is remembered, for the newest few thousand."""

    def __init__(self, room: int = 5000):
        self._known: OrderedDict[int, int] = OrderedDict()
        self._room = room
        self._lock = threading.Lock()

    def of(self, deployment_ids: Iterable[int]) -> dict[int, int]:
        wanted = set(deployment_ids)
        with self._lock:
            known = {pk: self._known[pk] for pk in wanted if pk in self._known}
        missing = wanted - set(known)
        if missing:
            known |= dict(Deployment.objects.filter(pk__in=missing).values_list("pk", "microservice_id"))
            with self._lock:
                self._known.update((pk, known[pk]) for pk in missing if pk in known)
                while len(self._known) > self._room:
                    self._known.popitem(last=False)
        return known


_services = Services()


def read(last_id: int, deployment_id: int | None = None) -> list[Item]:
    """The next events after an id, from the rows."""
    rows = events.after(last_id, deployment_id, BATCH)
    known = _services.of(row.deployment_id for row in rows if row.deployment_id)
    about = [known.get(row.deployment_id or 0, row.data.get("service_id", 0)) for row in rows]
    owned = MicroService.objects.order_by().filter(pk__in=set(about)).values_list("pk", "team")
    teams = dict(owned) if any(about) else {}
    theirs = _teams_of_hosts(row.data.get("id", 0) for row in rows if row.kind == "host")
    return [
        Item(
            row.pk,
            row.deployment_id or 0,
            service,
            teams.get(service, GONE),
            row.kind,
            row.data,
            row.created.isoformat(),
            theirs.get(row.data.get("id", 0), NOBODY) if row.kind == "host" else NOBODY,
        )
        for row, service in zip(rows, about, strict=True)
    ]


def _teams_of_hosts(numbers: Iterable[int]) -> dict[int, frozenset[int]]:
    """Of the hosts that belong to any. One query where there are events about hosts."""
    found: dict[int, set[int]] = {}
    if wanted := set(numbers):
        for host, team in HostTeam.objects.filter(host__in=wanted).values_list("host", "team"):
            found.setdefault(host, set()).add(team)
    return {host: frozenset(teams) for host, teams in found.items()}


def newest() -> int:
    """The id of the newest event there is; 0 for none."""
    return Event.objects.aggregate(newest=Max("id"))["newest"] or 0


class Watcher:
    """Somebody's place at the hub. `close()` gives it up, as often as one likes, from any thread."""

    def __init__(
        self, hub: "Hub", wants: Callable[[Item], bool], slot: bool, eager: bool = False, who: Hashable = None
    ):
        self.dropped = False  # read too slowly, or gave its place to somebody: what came since is in the rows
        self.who = who
        self._hub, self._wants, self.slot = hub, wants, slot
        self._eager, self.joined = eager, time.monotonic()
        self._queue: queue.Queue[Item] = queue.Queue(ROOM)

    def next(self, seconds: float) -> Item | None:
        """The next event, or None when none came for so long (or, at once, when this watcher was dropped)."""
        try:
            return self._queue.get(timeout=0 if self.dropped else max(0, seconds))
        except queue.Empty:
            return None

    def take(self, seconds: float) -> list[Item]:
        """The next event with all that wait behind it by now; none where none came for so long, as in `next`."""
        found = [item] if (item := self.next(seconds)) else []
        while found and not self._queue.empty():  # nobody else takes from it
            found.append(self._queue.get_nowait())
        return found

    def hand(self, item: Item) -> None:
        if self.dropped or not self._wants(item):
            return
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.dropped = True

    def pause(self, usual: float) -> float:
        """Seconds that it can do without a look at the rows."""
        return min(usual, max(QUICK, LATE * (time.monotonic() - self.joined))) if self._eager else usual

    def close(self) -> None:
        self._hub.leave(self)


class Hub:
    """The watchers of one process and the thread that reads for them; the thread lives while there are any.

    Slots are shared fairly: `each` at most for one caller, and where all are taken, who has the most gives one to
    whoever has fewer. `turns`: those of the process's threads that may be kept for long, if somebody counts them.
    """

    def __init__(self, slots: int, poll: float = POLL, each: int = 0, turns: Turns | None = None):
        self.slots, self.poll, self.each, self._turns = slots, poll, each or slots, turns
        self._watchers: set[Watcher] = set()
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_id = 0
        self._pulse = watchdog.watch("event-hub", HUNG)

    def join(
        self,
        wants: Callable[[Item], bool] = lambda item: True,
        slot: bool = True,
        eager: bool = False,
        who: Hashable = None,
    ) -> Watcher:
        """A place: every event that becomes visible from now on and is wanted comes to it. NoRoom beyond the slots.

        `eager`: somebody does nothing but wait for it, so the rows are looked at more often. `who`: whose slot it is.
        """
        start = newest()  # before the lock: nobody waits for the database with it in his hand
        with self._lock:
            if slot:
                self._take_slot(who)
            watcher = Watcher(self, wants, slot, eager, who)
            self._watchers.add(watcher)
            if eager:
                self._hurry.set()
            if self._thread is None:
                self._last_id = start
                self._thread = threading.Thread(target=self._run, name="event-hub", daemon=True)
                self._thread.start()
            return watcher

    def leave(self, watcher: Watcher) -> None:
        with self._lock:
            self._leave(watcher)

    def _leave(self, watcher: Watcher) -> None:
        if watcher in self._watchers:
            self._watchers.discard(watcher)
            if watcher.slot and self._turns:
                self._turns.leave()

    def _take_slot(self, who: Hashable) -> None:
        """With the lock."""
        taken = [watcher for watcher in self._watchers if watcher.slot]
        shares = Counter(watcher.who for watcher in taken)
        if who is not None and shares[who] >= self.each:
            raise NoRoom(NoRoom.__doc__)
        full = len(taken) >= self.slots
        if not full and (self._turns is None or self._turns.enter()):
            return
        greediest = max((one for one in shares if one is not None), key=lambda one: shares[one], default=None)
        if who is None or greediest is None or shares[greediest] <= shares[who] + 1:
            raise NoRoom(NoRoom.__doc__)
        newest_of_it = max((one for one in taken if one.who == greediest), key=lambda one: one.joined)
        newest_of_it.dropped = True
        self._leave(newest_of_it)
        if self._turns and not self._turns.enter():
            raise NoRoom(NoRoom.__doc__)

    @property
    def watching(self) -> int:
        return len(self._watchers)

    def _run(self) -> None:
        try:
            while self._anybody():
                with self._pulse:
                    more = self._look()
                if not more:
                    self._hurry.wait(self._pause())
                    self._hurry.clear()
        finally:
            give_back()

    def _anybody(self) -> bool:
        """Whether to go on. With the lock, so that nobody joins a thread that has just decided to end."""
        with self._lock:
            if not self._watchers:
                self._thread = None
            return self._thread is not None

    def _pause(self) -> float:
        with self._lock:
            return min((watcher.pause(self.poll) for watcher in self._watchers), default=0)

    def _look(self) -> bool:
        """Hands out what is new; whether there may be more at once."""
        try:
            items = read(self._last_id) if events.any_after(self._last_id) else []
        except Error as error:
            # The database may be restarting. The rows are still there when it is back, and so are the watchers.
            log.warning("the event hub could not read, and tries again: %s", type(error).__name__)
            give_back()
            return False
        except Exception:  # every stream of this process lives on this thread: it outlives any error
            log.exception("the event hub met an error that it does not know")
            give_back()
            return False
        if not items:
            return False
        self._hand_out(items)
        self._last_id = items[-1].id
        return len(items) == BATCH

    def _hand_out(self, items: list[Item]) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for item in items:
            for watcher in watchers:
                watcher.hand(item)


hub = Hub(settings.MAX_EVENT_STREAMS, each=settings.MAX_EVENT_STREAMS_PER_USER, turns=turns.long)
