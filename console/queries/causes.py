"""Why a deployment failed, as its page shows it: each cause with its words, its hosts, and what may be done now."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from django.db.models import Count

from access.callers import Caller
from messages import Message
from messages.rendering import render
from microservice.deployments.failures import Failure, failed_operations, failures_of
from microservice.models import Deployment, Operation
from microservice.operation_errors import error_of, message_of
from microservice.output import terminal
from microservice.status import BUSY, MAY_RETRY, Outcome

from .advice import Advice, advice
from .operations import error_lines

WITH_OUTPUT = "reason.with_output"


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a failed operation, in the active language.

    `reason`: what its step came to ("exit status 1"), or a whole sentence where it was no step. `said`: the host's own
    words, untrusted. `state`: what is left on the host, where anything is.
    """

    step: str
    reason: str
    said: str = ""
    state: str = ""

    def __str__(self) -> str:
        return "\n".join(part for part in (self.step, self.reason, self.said, self.state) if part)


def words_of(row: Operation) -> Words:
    """Return the parts of an operation's error. Pure."""
    message, step = message_of(row), row.error_step
    if message is None or "given_up_after" in message.params:  # which changes what all the rest means
        error = error_of(row)
        return Words(step, render(error) if error else "")
    params = message.params
    said, state = _text(params.get("said")), _text(params.get("state"))
    reason = params.get("reason")
    if "step" not in params or not isinstance(reason, Message):
        return Words(step, render(message), said, state)
    if reason.code == WITH_OUTPUT:
        reason, said = reason.params.get("reason", reason), said or _text(reason.params.get("said"))
    return Words(step, _text(reason), said, state)


def _text(value: object) -> str:
    if isinstance(value, Message):
        return render(value)
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause. `left`: how many of its operations a retry would repeat now. `line`, `tail`: of its first operation,
    the last line of output that explains the error, and what leads to it as safe HTML; only of the first cause."""

    failure: Failure
    words: Words
    advice: Advice | None
    left: int
    line: int = 0
    tail: str = ""

    @property
    def outcome(self) -> Outcome:
        """The outcome of those that `failure.broken` counts."""
        return Outcome.BROKEN


@dataclass(frozen=True, slots=True)
class Causes:
    """`count`: hosts that failed. `more`: how many further causes there are. `wrong`, `busy`: how many of the instances
    are still in a failed state, and on how many something runs now."""

    shown: list[Cause] = field(default_factory=list)
    count: int = 0
    more: int = 0
    wrong: int = 0
    busy: int = 0


def causes(caller: Caller, of: Deployment, left: Mapping[str, int]) -> Causes:
    """Return why a deployment failed. A fixed number of queries, however many causes and hosts. `left`: retries.left"""
    failures = failures_of(caller, of)
    if not failures.shown:
        return Causes()
    line, tail = error_lines(failures.shown[0].first)
    shown = [
        Cause(one, words_of(one.first), advice(one.first), left.get(one.cause, 0) if one.cause else 0)
        for one in failures.shown
    ]
    shown[0] = replace(shown[0], line=line, tail=terminal.render(tail).html)
    now = _now(caller, of)
    wrong = sum(n for status, n in now.items() if status in MAY_RETRY)
    busy = sum(n for status, n in now.items() if status in BUSY)
    return Causes(shown, failures.count, failures.more, wrong, busy)


def _now(caller: Caller, of: Deployment) -> Counter[int]:
    """Return in which status the instances that failed are now, and how many in each. One query."""
    rows = failed_operations(caller, of).filter(instance__isnull=False).order_by()
    return Counter(dict(rows.values_list("instance__status").annotate(Count("instance", distinct=True))))
