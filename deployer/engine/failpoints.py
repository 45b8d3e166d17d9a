"""The points at which the death of a process matters, by name. In production `failpoint` does nothing.

A process is armed if it was started with CRASH_POINTS set to a folder. A thread that reaches a point takes the file of
the point's name out of that folder (NAME becomes NAME.PID), and the process dies by SIGKILL; or, where the file says
`stop`, the process stands still until that file is gone and SIGCONT comes. The storm (tests/storm) makes those files.

On hosts the places are comments in runner/*.sh, `# crash: NAME [step]`. Only an armed process makes calls of them;
they look for `.deployer/crash`, one line `NAME [step's name]`, and end every process of the run.
"""

import os
import signal
import time
from enum import StrEnum
from pathlib import Path

FOLDER = os.environ.get("CRASH_POINTS", "")
ARMED = bool(FOLDER)


class Failpoint(StrEnum):
    """Where a process of ours may die, and what has happened by then."""

    REQUESTED = "requested"  # web: rows are written, nothing is committed
    HELD = "held"  # web: a request that has to wait is written, not committed
    ANSWERED = "answered"  # web: a yes to what waits is written, not committed
    RELEASED = "released"  # what waited has locked its hosts, not committed
    ACCEPTED = "accepted"  # web: committed; no worker was woken, the caller has no answer
    WAKING = "waking"  # before a wake-up message is sent
    CLAIMING = "claiming"  # worker: operations were taken, not committed
    CLAIMED = "claimed"  # committed; no thread works on them yet
    TAKEN_OVER = "taken_over"  # the same, for operations that another worker had
    SWEPT = "swept"  # the sweep has counted what is due, no thread has picked it up
    BEGINNING = "beginning"  # an operation's thread starts to work
    CONNECTING = "connecting"  # before the connection to the host
    SENDING = "sending"  # connected; the last look at whether it is still ours is over
    SENT = "sent"  # some of the program is on its way
    PACKAGE_SENT = "package_sent"  # all of program and package is
    END_READ = "end_read"  # the host has reported how it ended; only this thread knows
    WRITING = "writing"  # the writer: before a transaction
    WRITTEN = "written"  # progress is written, not committed
    ENDING = "ending"  # an operation's end is written, not committed
    RECORDED = "recorded"  # progress is committed
    ENDED = "ended"  # an end is committed; its thread does not know, and nothing new was claimed


class HostFailpoint(StrEnum):
    """Where a run may die on its host. Those that say so are met at each step."""

    BEGUN = "begun"  # the journal has its first line
    BEFORE = "before"  # each step: before its line in the journal
    STARTED = "started"  # each step: between that line and the step's effect
    EFFECT = "effect"  # each step: its effect is there, its journal does not say so
    DONE = "done"  # each step
    FETCHED = "fetched"  # the package was fetched from the jump host, and lies in the staging folder
    SIGNED_IN = "signed_in"  # the sign-in at the image's registry lies where the engine's client reads it
    SWAP = "swap"  # the new link is made, and not yet in the place of `current`
    UNDO = "undo"  # each undo: before its line in the journal
    UNDOING = "undoing"  # each undo: between that line and the undo's effect
    UNDO_EFFECT = "undo_effect"  # each undo
    UNDONE = "undone"  # each undo
    RECOVERING = "recovering"  # a dead run was taken up again
    REMOVING = "removing"  # a delete has begun to remove what it had moved away
    ENDING = "ending"  # before the journal's last line
    ENDED = "ended"  # after it


def _pass(point: Failpoint) -> None:
    """Do nothing, as in production."""


def _die_or_stop(point: Failpoint) -> None:
    order = Path(FOLDER, point)
    try:
        taken = order.rename(order.with_suffix(f".{os.getpid()}"))
    except FileNotFoundError:
        return
    if taken.read_text().strip() != "stop":
        os.kill(os.getpid(), signal.SIGKILL)
    while taken.exists():
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.2)  # a breath for the process's other threads: one of them may hold a lock that all need


failpoint = _die_or_stop if ARMED else _pass  # bound once: an unarmed point is one empty call
