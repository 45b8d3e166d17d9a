"""End the process when a thread that it depends on hangs.

Such a thread marks each unit of work: `with heartbeat: …`. The watchdog thread checks each second; if a unit takes
longer than its limit, it logs where the thread stands and ends the process, so that the service manager restarts it and
other workers take over. Every wait has a far shorter limit of its own: this is for the one that was overlooked.

Time counts only while the watchdog thread itself runs: a process that was frozen, or a machine that slept, has not
hung.
"""

import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from time import monotonic

CHECK_INTERVAL = 1.0  # seconds between two checks
MAX_STEP = 2 * CHECK_INTERVAL  # what one check counts at most, however late it runs
LOG_TIMEOUT = 5.0  # seconds after which the process ends although the log could not be written
EXIT_STATUS = 70  # EX_SOFTWARE
log = logging.getLogger(__name__)
_numbers = count(1)


class Heartbeat:
    """The progress of one thread. `unit`: the number of its current unit of work; 0: idle, for any length of time."""

    def __init__(self, name: str, limit: float):
        self.name, self.limit = name, limit
        self.unit = 0
        self.thread: int | None = None

    def __enter__(self) -> "Heartbeat":
        self.thread = threading.get_ident()
        self.unit = next(_numbers)
        return self

    def __exit__(self, *_: object) -> None:
        self.unit = 0

    def progress(self) -> None:
        """Report progress within a unit of work: its time starts anew."""
        self.unit = next(_numbers)


@dataclass
class HangDetector:
    """How long the current units of work have taken. Pure except for its own state."""

    seen: dict[Heartbeat, tuple[int, float]] = field(default_factory=dict)

    def look(self, heartbeats: Iterable[Heartbeat], passed: float) -> list[Heartbeat]:
        """Return the hung ones, `passed` seconds after the last call."""
        before, self.seen = self.seen, {}
        for heartbeat in heartbeats:
            if unit := heartbeat.unit:
                known, seconds = before.get(heartbeat, (0, 0.0))
                self.seen[heartbeat] = (unit, seconds + min(passed, MAX_STEP) if unit == known else 0.0)
        return [heartbeat for heartbeat, (_, seconds) in self.seen.items() if seconds > heartbeat.limit]


_heartbeats: list[Heartbeat] = []
_lock = threading.Lock()
_thread: threading.Thread | None = None


def watch(name: str, limit: float) -> Heartbeat:
    """Return a thread's heartbeat. It is checked once the watchdog is armed."""
    heartbeat = Heartbeat(name, limit)
    with _lock:
        _heartbeats.append(heartbeat)
    return heartbeat


def forget(heartbeat: Heartbeat) -> None:
    """Stop watching a thread that has ended."""
    with _lock:
        if heartbeat in _heartbeats:
            _heartbeats.remove(heartbeat)


def arm() -> None:
    """Start the watchdog: for worker and web processes, which a service manager restarts."""
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_run, name="watchdog", daemon=True)
            _thread.start()


def _run() -> None:
    watched, last, pause = HangDetector(), monotonic(), threading.Event()
    while True:
        pause.wait(CHECK_INTERVAL)
        now = monotonic()
        with _lock:
            heartbeats = list(_heartbeats)
        if hung := watched.look(heartbeats, now - last):
            _end(hung)
        last = now


def _end(hung: list[Heartbeat]) -> None:
    # If the log stream itself hangs, the lines are lost and the process still ends.
    timer = threading.Timer(LOG_TIMEOUT, os._exit, [EXIT_STATUS])
    timer.daemon = True
    timer.start()
    frames = sys._current_frames()
    for heartbeat in hung:
        frame = frames.get(heartbeat.thread or 0)
        where = "".join(traceback.format_stack(frame)) if frame else "-"
        log.critical(
            "the thread %s has made no progress for %.0f s; ending this process so that it is restarted\n%s",
            heartbeat.name,
            heartbeat.limit,
            where,
        )
    os._exit(EXIT_STATUS)
