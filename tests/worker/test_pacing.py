"""When the writing thread of a worker writes, without a thread or a clock."""

import pytest

from worker.pacing import INTERVAL_EACH, MAX_INTERVAL, MIN_INTERVAL, POLL_INTERVAL, Pacing

pytestmark = pytest.mark.pure


def test_polls_only_with_operations_in_flight():
    pacing = Pacing(polled=100.0)
    assert pacing.until_poll(100.25, in_flight=0) is None
    assert pacing.until_poll(100.25, in_flight=1) == POLL_INTERVAL - 0.25
    assert pacing.until_poll(200.0, in_flight=1) == 0
    assert not pacing.is_poll_due(100.25) and pacing.is_poll_due(100.0 + POLL_INTERVAL)


def test_last_result_is_not_delayed():
    assert Pacing(answered=0.0).until_answer(0.0, results=1, running=0) == 0
    assert Pacing(answered=0.0).until_answer(0.0, results=3, running=-1) == 0


def test_result_waits_longer_with_more_operations():
    pauses = [Pacing(answered=0.0).until_answer(0.0, 1, running) for running in (1, 4, 10, 20, 1000)]
    assert pauses == sorted(pauses)
    assert pauses[0] == MIN_INTERVAL and pauses[2] == 10 * INTERVAL_EACH and pauses[-1] == MAX_INTERVAL


def test_request_alone_waits_shortest_interval():
    assert Pacing(answered=0.0).until_answer(0.0, results=0, running=1000) == MIN_INTERVAL


def test_answer_long_after_last_one_is_immediate():
    assert Pacing(answered=0.0).until_answer(1.0, results=1, running=1000) == 0
