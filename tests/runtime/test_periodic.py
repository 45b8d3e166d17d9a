"""Periodic work is repeated after every error."""

import threading
import time

import pytest
from django.db import DatabaseError, InterfaceError

from runtime.periodic import PeriodicThread

pytestmark = pytest.mark.found("away")


@pytest.mark.parametrize("error", [DatabaseError, InterfaceError, RuntimeError, OSError, KeyError, MemoryError])
def test_continues_after_errors(error):
    came, done = [], threading.Event()

    def act():
        came.append(1)
        if len(came) < 3:
            raise error("no")
        done.set()

    loop = PeriodicThread("test", act, lambda: 0.01, 60)
    try:
        assert done.wait(20)
    finally:
        loop.stop()


def test_notices_a_shorter_pause():
    pauses, came = [600.0], []
    loop = PeriodicThread("test", lambda: came.append(time.monotonic()), lambda: pauses[0], 60)
    try:
        while not came:
            time.sleep(0.01)
        pauses[0] = 0.1
        deadline = time.monotonic() + 20
        while len(came) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        loop.stop()


def test_stops_on_request():
    came = []
    loop = PeriodicThread("test", lambda: came.append(1), lambda: 0.01, 60)
    loop.stop()
    loop._thread.join(20)
    assert not loop._thread.is_alive()
