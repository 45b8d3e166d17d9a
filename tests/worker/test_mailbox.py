"""The mailbox between operation threads and the writing thread of a worker, without a database."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from microservice.models import Operation
from microservice.status import OperationStatus
from tests.lab.busy import within
from worker.claim_requests import ClaimRequest
from worker.mailbox import Mailbox
from worker.pacing import Pacing
from worker.progress import Progress
from worker.results import OperationResult

REQUEST = ClaimRequest(1, "")


def progress(number: int, fence: int = 1) -> Progress:
    return Progress(Operation(pk=number, fence=fence))


def result(number: int) -> OperationResult:
    return OperationResult(Operation(pk=number, fence=1), OperationStatus.SUCCEEDED)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def wait_until(condition: Callable[[], object]) -> None:
    deadline = monotonic() + within(5)
    while not condition():
        assert monotonic() < deadline
        threading.Event().wait(0.005)


def test_result_and_request_are_taken_together(threads):
    mailbox = Mailbox()
    answer = threads.submit(mailbox.ask, result(1), REQUEST)
    mailbox.wait(Pacing())
    ((taken, kept),), ((request, claims),) = mailbox.take()
    assert (taken.operation.pk, request) == (1, REQUEST) and not answer.done()
    kept.set_result(True)
    claims.set_result([])
    assert answer.result(within(5)) == (True, [])
    assert mailbox.take() == ([], [])


def test_failed_request_raises_in_its_thread(threads):
    mailbox = Mailbox()
    answer = threads.submit(mailbox.ask, None, REQUEST)
    mailbox.wait(Pacing())
    mailbox.take()[1][0][1].set_exception(RuntimeError("no rows"))
    with pytest.raises(RuntimeError, match="no rows"):
        answer.result(within(5))


def test_results_put_back_come_first(threads):
    mailbox = Mailbox()
    threads.submit(mailbox.ask, result(1), None)
    mailbox.wait(Pacing())
    first, _ = mailbox.take()
    threads.submit(mailbox.ask, result(2), None)
    mailbox.wait(Pacing())
    mailbox.put_back(first)
    results, _ = mailbox.take()
    assert [each.operation.pk for each, _ in results] == [1, 2]
    for _, kept in results:
        kept.set_result(True)


def test_new_progress_ends_the_wait(threads):
    mailbox, news = Mailbox(), progress(1)
    waiting = threads.submit(mailbox.wait, Pacing(polled=monotonic() + 1000))
    mailbox.add([news])
    mailbox.notify(news)
    waiting.result(within(5))
    assert news.awaits_writing


def test_close_ends_the_wait(threads):
    mailbox = Mailbox()
    waiting = threads.submit(mailbox.wait, Pacing())
    mailbox.close()
    waiting.result(within(5))
    assert mailbox.closed


def test_result_waits_for_others_in_flight(threads):
    mailbox = Mailbox()
    mailbox.add([progress(1), progress(2)])
    answers = [threads.submit(mailbox.ask, result(1), None)]
    waiting = threads.submit(mailbox.wait, Pacing(answered=monotonic() + 1000))
    wait_until(lambda: mailbox._results)
    assert not waiting.done()
    answers.append(threads.submit(mailbox.ask, result(2), None))
    waiting.result(within(5))
    results, _ = mailbox.take()
    assert len(results) == 2
    for _, kept in results:
        kept.set_result(True)
    assert [answer.result(within(5))[0] for answer in answers] == [True, True]


def test_forgets_only_the_named_fence():
    mailbox, taken_over = Mailbox(), progress(1, fence=2)
    mailbox.add([taken_over])
    mailbox.forget((1, 1))
    assert mailbox.in_flight() == {1: taken_over}
    mailbox.forget((1, 2))
    mailbox.forget((1, 2))
    assert mailbox.in_flight() == {}
