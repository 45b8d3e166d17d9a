"""How long login shells were seen to take until they began a command: deadlines follow it, host by host.

Learnt in this process, and bounded: the next deadline of a host that was given up is twice as long, up to a limit; that
of a host that became fast is as before.
"""

import threading
from collections import OrderedDict

FIRST = 60.0  # seconds for a host of which nothing is known
MOST = 300.0
BEFORE_CANCEL = 8.0  # the same, where a cancel waits for it
MOST_FOR_CHECK = 60.0  # seconds that a host check adds for a shell that is known to be slow
SLOW = 3.0  # seconds from which on a host check warns
MOST_HOSTS = 20_000

_needed: OrderedDict[str, float] = OrderedDict()
_lock = threading.Lock()


def patience(where: str) -> float:
    """Return the seconds to wait for a program's first word."""
    return min(MOST, max(FIRST, 2 * needed(where)))


def before_cancel(where: str) -> float:
    return min(MOST, max(BEFORE_CANCEL, 2 * needed(where)))


def for_check(where: str) -> float:
    """Return the additional seconds of a host check there."""
    return min(MOST_FOR_CHECK, 2 * needed(where)) if needed(where) > SLOW else 0.0


def needed(where: str) -> float:
    return _needed.get(where, 0.0)


def took(where: str, seconds: float) -> None:
    """Note that a command began after so long."""
    _note(where, max(seconds, needed(where) / 2))


def gave_up(where: str, seconds: float) -> None:
    """Note that no command had begun after so long."""
    _note(where, min(MOST, max(seconds, needed(where))))


def _note(where: str, seconds: float) -> None:
    with _lock:
        _needed.pop(where, None)
        if seconds >= 1.0:  # what is fast needs no place
            _needed[where] = seconds
            while len(_needed) > MOST_HOSTS:
                _needed.popitem(last=False)
