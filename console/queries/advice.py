"""Why an operation failed, and what to do next. Pure: from its row alone.

It depends on the code, which says what went wrong and where, and on the step that failed. What a command printed
is not read: `404 Not Found` does not mean that a program is missing. The texts are in messages/texts/operations.py.
"""

from dataclasses import dataclass

from deployer.engine.codes import PREFIX, Code
from messages import Message
from messages.rendering import cause, hint, render_text
from messages.text import Text
from messages.texts import TEXTS
from messages.texts.operations import ADVICE_BY_STATUS, ADVICE_BY_STEP
from microservice.models import Operation
from microservice.operation_errors import message_of
from microservice.status import OperationStatus


@dataclass(frozen=True, slots=True)
class Advice:
    """`cause` is "" where the error itself says all that is known."""

    cause: str
    next: str


# Where the host is not between two versions, although the operation failed.
_KNOWN_END = frozenset({Code.LOCK_BROKEN, Code.LOWER_FENCE, Code.LEFT_ON_HOST, Code.FORGOTTEN, Code.DELETE_FORGOTTEN})
_FAILED = (OperationStatus.FAILED, OperationStatus.UNDONE, OperationStatus.UNKNOWN)


def advice(of: Operation) -> Advice | None:
    """Return the cause and the next step in the active language; None where nothing went wrong."""
    status = OperationStatus(of.status)
    if not of.error and status not in _FAILED:
        return None
    found_cause, next_step = _by_code(of)
    if status == OperationStatus.UNKNOWN:
        next_step = render_text(ADVICE_BY_STATUS["unknown"].hint)
    elif status == OperationStatus.FAILED and of.error_code not in _KNOWN_END:
        found_cause = found_cause or render_text(ADVICE_BY_STATUS["failed"].cause)
        next_step = render_text(ADVICE_BY_STATUS["failed"].hint)
    return Advice(found_cause, next_step)


def _by_code(of: Operation) -> tuple[str, str]:
    by_step: Text | None = ADVICE_BY_STEP.get(of.error_step)
    if of.error_code in ("", Code.STEP_FAILED, Code.OTHER) and by_step is not None:
        return render_text(by_step.cause), render_text(by_step.hint)
    code = of.error_code if f"{PREFIX}{of.error_code}" in TEXTS else Code.OTHER
    message = message_of(of) or Message(f"{PREFIX}{code}", {"remedy": Message(f"{PREFIX}see_error")})
    return cause(message), hint(message)
