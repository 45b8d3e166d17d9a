"""Who may search when: a search of a large log is seconds of work, so it is cut in parts, and each caller has one.

A newer search of the same caller ends the older one, which answers what it has found with where to go on: whoever types
into a search box never waits for what they typed before.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from access.problems import Problem
from access.turns import Turns

LONGEST = 3.0  # seconds of one request's search
AT_ONCE = Turns(4)  # in this process; more would only wait for each other

_newest: dict[str, object] = {}
_lock = threading.Lock()


@contextmanager
def turn(who: str) -> Iterator[Callable[[], bool]]:
    """Gives what says whether the search has to end. Raises a 503 Problem where as many are under way as may be."""
    mine, until = object(), time.monotonic() + LONGEST
    if not AT_ONCE.enter():
        raise Problem(
            503,
            "busy",
            "As many searches are under way as this server does at once.",
            "Search again in a moment.",
            headers={"Retry-After": "2"},
        )
    try:
        with _lock:
            _newest[who] = mine
        yield lambda: time.monotonic() > until or _newest.get(who) is not mine
    finally:
        AT_ONCE.leave()
        with _lock:
            if _newest.get(who) is mine:
                del _newest[who]
