"""Notices from outside when a thread that the process cannot do without hangs, and ends the process.

Such a thread says when it begins a piece of work and when it has ended: `with pulse: …`. A thread of its own looks each
second; where a piece takes longer than its limit, it writes where the thread stands and ends the process, so that
whoever keeps it running starts it anew and others take over what it had. Each wait of ours has a limit of its own,
far below these: this is for the one that nobody thought of.

Time counts only while the watching thread itself gets to run: a process that was frozen, or a machine that slept, has
not hung.
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

LOOK = 1.0  # seconds between two looks
MOST_OF_A_LOOK = 2 * LOOK  # what one look counts at most, however late it comes
LAST_WORDS = 5.0  # seconds after which the process ends although its last words could not be written
EXIT = 70  # EX_SOFTWARE
log = logging.getLogger(__name__)
_numbers = count(1)


class Pulse:
    """What one thread shows of itself. `piece`: the number of the piece of work that it is busy with; 0: it waits for
    work, which may take as long as it likes."""

    def __init__(self, name: str, limit: float):
        self.name, self.limit = name, limit
        self.piece = 0
        self.thread: int | None = None

    def __enter__(self) -> "Pulse":
        self.thread = threading.get_ident()
        self.piece = next(_numbers)
        return self

    def __exit__(self, *_: object) -> None:
        self.piece = 0

    def progress(self) -> None:
        """Within a piece of work: it goes on, and the time counts anew."""
        self.piece = next(_numbers)


@dataclass
class Watched:
    """How long pieces of work were seen to take. Pure but for itself."""

    seen: dict[Pulse, tuple[int, float]] = field(default_factory=dict)

    def look(self, pulses: Iterable[Pulse], passed: float) -> list[Pulse]:
        """Those that hang, `passed` seconds after the last look."""
        before, self.seen = self.seen, {}
        for pulse in pulses:
            if piece := pulse.piece:
                known, seconds = before.get(pulse, (0, 0.0))
                self.seen[pulse] = (piece, seconds + min(passed, MOST_OF_A_LOOK) if piece == known else 0.0)
        return [pulse for pulse, (_, seconds) in self.seen.items() if seconds > pulse.limit]


_pulses: list[Pulse] = []
_lock = threading.Lock()
_thread: threading.Thread | None = None


def watch(name: str, limit: float) -> Pulse:
    """A thread's pulse. Nobody looks at it before the process is armed."""
    pulse = Pulse(name, limit)
    with _lock:
        _pulses.append(pulse)
    return pulse


def forget(pulse: Pulse) -> None:
    """Its thread has ended."""
    with _lock:
        if pulse in _pulses:
            _pulses.remove(pulse)


def arm() -> None:
    """From now on a thread that hangs ends this process: for worker and web processes, which somebody starts again."""
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_run, name="watchdog", daemon=True)
            _thread.start()


def _run() -> None:
    watched, last, pause = Watched(), monotonic(), threading.Event()
    while True:
        pause.wait(LOOK)
        now = monotonic()
        with _lock:
            pulses = list(_pulses)
        if hung := watched.look(pulses, now - last):
            _end(hung)
        last = now


def _end(hung: list[Pulse]) -> None:
    # Where the log's own stream hangs, the words are lost, and the process ends all the same.
    timer = threading.Timer(LAST_WORDS, os._exit, [EXIT])
    timer.daemon = True
    timer.start()
    frames = sys._current_frames()
    for pulse in hung:
        frame = frames.get(pulse.thread or 0)
        where = "".join(traceback.format_stack(frame)) if frame else "-"
        log.critical(
            "the thread %s has made no progress for %.0f s: this process ends, to be started anew\n%s",
            pulse.name,
            pulse.limit,
            where,
        )
    os._exit(EXIT)
