"""What the operation threads of a worker and its writing thread share: requests, results, and what is in flight."""

import threading
from collections.abc import Iterable
from concurrent.futures import Future
from time import monotonic

from .claim_requests import ClaimRequest
from .claims import Claim
from .pacing import FLUSH_INTERVAL, Pacing
from .progress import Progress
from .results import OperationResult

Results = list[tuple[OperationResult, "Future[bool]"]]
Requests = list[tuple[ClaimRequest, "Future[list[Claim]]"]]


class Mailbox:
    """Thread-safe. Operation threads call `ask` and `notify`; the writing thread waits, takes and answers."""

    def __init__(self) -> None:
        self.closed = False
        self._change = threading.Condition()
        self._results: Results = []
        self._requests: Requests = []
        self._in_flight: dict[int, Progress] = {}  # by operation

    # ---- operation threads -----------------------------------------------------------------------------------------

    def ask(self, result: OperationResult | None, request: ClaimRequest | None) -> tuple[bool, list[Claim]]:
        """Wait until `result` is committed and `request` answered. Return whether the result was kept, and the claims.

        Raise DatabaseError where the rows of the request cannot be read.
        """
        kept: Future[bool] = Future()
        claims: Future[list[Claim]] = Future()
        with self._change:
            if result is None:
                kept.set_result(False)
            else:
                self._results.append((result, kept))
            if request is None:
                claims.set_result([])
            else:
                self._requests.append((request, claims))
            self._change.notify()
        return kept.result(), claims.result()

    def notify(self, progress: Progress) -> None:
        """Have `progress` written within a tick or two. Does not wait."""
        if not progress.awaits_writing:
            with self._change:
                progress.awaits_writing = True
                self._change.notify()

    # ---- the writing thread ----------------------------------------------------------------------------------------

    def wait(self, pacing: Pacing) -> None:
        """Wait until a thread waits for a commit, news is FLUSH_INTERVAL old, or it is time to poll."""
        with self._change:
            timeout = pacing.until_poll(monotonic(), len(self._in_flight))
            if self._change.wait_for(lambda: self._is_asked() or self._has_news(), timeout):
                self._change.wait_for(self._is_asked, FLUSH_INTERVAL)
            if self._is_asked():
                pause = pacing.until_answer(monotonic(), len(self._results), self._running())
                self._change.wait_for(lambda: self.closed or self._running() <= 0, pause)
                pacing.answered = monotonic()

    def take(self) -> tuple[Results, Requests]:
        """Take both at once: a request that came with a result counts on its slot."""
        with self._change:
            results, self._results = self._results, []
            requests, self._requests = self._requests, []
        return results, requests

    def put_back(self, results: Results) -> None:
        """Put results that could not be written before those that came since."""
        with self._change:
            self._results = results + self._results

    def in_flight(self) -> dict[int, Progress]:
        """Return a copy."""
        with self._change:
            return dict(self._in_flight)

    def add(self, started: Iterable[Progress]) -> None:
        with self._change:
            self._in_flight.update({progress.operation.pk: progress for progress in started})

    def forget(self, name: tuple[int, int]) -> None:
        """Drop an operation under its fence. Under another one it may be this process's again: that one stays."""
        with self._change:
            if (progress := self._in_flight.get(name[0])) is not None and progress.name == name:
                del self._in_flight[name[0]]

    def wake(self) -> None:
        with self._change:
            self._change.notify()

    def close(self) -> None:
        with self._change:
            self.closed = True
            self._change.notify()

    def _is_asked(self) -> bool:
        return bool(self._requests or self._results or self.closed)

    def _has_news(self) -> bool:
        return any(progress.awaits_writing for progress in self._in_flight.values())

    def _running(self) -> int:
        return len(self._in_flight) - len(self._results)
