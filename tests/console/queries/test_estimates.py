"""Time left, what is waited for, and the timeline: pure functions."""

from datetime import UTC, datetime, timedelta

import pytest

from console.queries.estimates import DeploymentState, time_left, waits_for
from console.queries.timeline import QUEUED, RUNNING, UNDOING, WIDTH, Span, timeline
from microservice.status import DeploymentStatus, OperationStatus

pytestmark = pytest.mark.pure

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("past", "ages", "waiting", "at_once", "left"),
    [
        ([], [3.0], 5, 1, None),  # no past: not known yet
        ([10.0], [], 0, 0, 0.0),
        ([1.0, 10.0, 900.0], [4.0, 9.0], 0, 2, 6.0),  # the median; the youngest ends last
        ([10.0], [25.0], 0, 1, 0.0),  # longer than usual: no guess below nothing
        ([10.0], [4.0, 4.0], 5, 2, 36.0),  # and three more rounds of two
        ([10.0], [], 3, 0, 30.0),
    ],
)
def test_time_left_is_median(past, ages, waiting, at_once, left):
    assert time_left(past, ages, waiting, at_once) == left


@pytest.mark.parametrize(
    ("status", "counts", "more", "words"),
    [
        (DeploymentStatus.RUNNING, {OperationStatus.RUNNING: 2}, {"workers": 1}, []),
        (DeploymentStatus.RUNNING, {OperationStatus.QUEUED: 2}, {"workers": 1}, ["free workers for 2 hosts"]),
        (DeploymentStatus.QUEUED, {OperationStatus.QUEUED: 2}, {}, ["celery -A deployer worker"]),
        (DeploymentStatus.PAUSED, {OperationStatus.PENDING: 2}, {"workers": 1}, ["someone to resume it"]),
        (DeploymentStatus.CANCELLING, {OperationStatus.RUNNING: 1}, {"workers": 1}, ["confirmation from each host"]),
        (DeploymentStatus.RUNNING, {OperationStatus.UNKNOWN: 1}, {"workers": 1}, ["1 unreachable host"]),
        (
            DeploymentStatus.RUNNING,
            {OperationStatus.QUEUED: 1},
            {"workers": 1, "deferred": 1},
            ["a previous instance to be deleted"],
        ),
        (
            DeploymentStatus.RUNNING,
            {OperationStatus.RUNNING: 1, OperationStatus.PENDING: 3},
            {"workers": 1},
            ["earlier batches (3 hosts)"],
        ),
    ],
)
def test_says_what_deployment_waits_for(status, counts, more, words):
    found = waits_for(DeploymentState(status, counts, **more))
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))


def test_timeline_is_proportional():
    done = Span("a", at(0), at(25), None, at(75))
    undone = Span("b", at(0), at(50), at(75), at(100))
    waits = Span("c", at(0))
    first, second, third = timeline([done, undone, waits], at(0), at(100))
    assert [(one.kind, one.x, one.width, one.seconds) for one in first.segments] == [
        (QUEUED, 0, WIDTH // 4, 25),
        (RUNNING, WIDTH // 4, WIDTH // 2, 50),
    ]
    assert [one.kind for one in second.segments] == [QUEUED, RUNNING, UNDOING]
    assert [(one.kind, one.width) for one in third.segments] == [(QUEUED, WIDTH)]


def test_timeline_is_clipped():
    (line,) = timeline([Span("a", at(-50), at(10), None, at(500))], at(0), at(20))
    assert [(one.x, one.width) for one in line.segments] == [(0, WIDTH // 2), (WIDTH // 2, WIDTH // 2)]
    assert timeline([Span("a", at(0), at(0), None, at(0))], at(0), at(0))[0].segments == []
