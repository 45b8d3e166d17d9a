"""Limits searches: one in a large log takes seconds, so it is answered in parts, and each caller has one at a time.

A newer search of the same caller ends the older one, which answers what it has found and where to continue: typing into
a search box never waits for the earlier search.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from access.problems import refused
from access.turns import Turns

SEARCH_TIMEOUT = 3.0  # seconds of one request's search
slots = Turns(4)  # in this process; more would only wait for each other

_newest: dict[str, object] = {}
_lock = threading.Lock()


@contextmanager
def search_slot(account: str) -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether the search must end. Raise a 503 Problem where all slots are taken."""
    search, until = object(), time.monotonic() + SEARCH_TIMEOUT
    if not slots.enter():
        raise refused("busy.search", headers={"Retry-After": "2"})
    try:
        with _lock:
            _newest[account] = search
        yield lambda: time.monotonic() > until or _newest.get(account) is not search
    finally:
        slots.leave()
        with _lock:
            if _newest.get(account) is search:
                del _newest[account]
