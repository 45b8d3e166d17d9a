"""A hung thread is noticed from outside, and its process ends with a traceback; nothing else ends it."""

import subprocess
import sys
import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.watchdog import CHECK_INTERVAL, EXIT_STATUS, MAX_STEP, HangDetector, Heartbeat
from tests.lab.worker import ROOT

pytestmark = pytest.mark.found("away")


def test_idle_threads_do_not_hang():
    watched, pulse = HangDetector(), Heartbeat("a", 5)
    for _ in range(100):
        assert watched.look([pulse], CHECK_INTERVAL) == []


def test_work_beyond_its_limit_hangs():
    watched, pulse = HangDetector(), Heartbeat("a", 5)
    with pulse:
        seen = [bool(watched.look([pulse], CHECK_INTERVAL)) for _ in range(8)]
    assert seen == [False] * 6 + [True] * 2
    assert watched.look([pulse], CHECK_INTERVAL) == []


def test_progress_resets_the_limit():
    watched, pulse = HangDetector(), Heartbeat("a", 5)
    for _ in range(50):
        with pulse:
            assert watched.look([pulse], CHECK_INTERVAL) == []
    with pulse:
        for _ in range(50):
            pulse.progress()
            assert watched.look([pulse], CHECK_INTERVAL) == []


def test_frozen_processes_do_not_hang():
    """Stopped for an hour in the middle of a piece: it has what is left of its time."""
    watched, pulse = HangDetector(), Heartbeat("a", 5)
    with pulse:
        watched.look([pulse], CHECK_INTERVAL)
        assert watched.look([pulse], 3600.0) == []
        assert watched.look([pulse], CHECK_INTERVAL) == []
        assert [bool(watched.look([pulse], CHECK_INTERVAL)) for _ in range(4)][-1]


@given(st.lists(st.tuples(st.floats(0, 5000), st.booleans()), max_size=60))
def test_only_work_without_progress_hangs(history):
    watched, pulse, still = HangDetector(), Heartbeat("a", 7), 0.0
    with pulse:
        watched.look([pulse], CHECK_INTERVAL)
        for passed, goes_on in history:
            if goes_on:
                pulse.progress()
            still = 0.0 if goes_on else still + min(passed, MAX_STEP)
            assert bool(watched.look([pulse], passed)) == (still > 7)


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_hung_process_ends_with_a_traceback():
    begun = time.monotonic()
    done = run("""
        import logging, threading, time
        logging.basicConfig()
        from runtime import watchdog
        watchdog.arm()
        def hangs_here():
            with watchdog.watch("ledger", 2):
                threading.Event().wait()
        threading.Thread(target=hangs_here, daemon=True).start()
        time.sleep(50)
    """)
    assert done.returncode == EXIT_STATUS and time.monotonic() - begun < 40
    assert "the thread ledger has made no progress for 2 s" in done.stderr and "in hangs_here" in done.stderr


def test_ends_with_a_hung_log():
    done = run("""
        import logging, threading, time
        class Hangs(logging.Handler):
            def emit(self, record):
                threading.Event().wait()
        logging.getLogger().addHandler(Hangs())
        from runtime import watchdog
        watchdog.arm()
        with watchdog.watch("ledger", 1):
            time.sleep(50)
    """)
    assert done.returncode == EXIT_STATUS
