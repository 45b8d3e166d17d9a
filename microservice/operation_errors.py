"""What went wrong with an operation, and why a step failed: messages as rows keep them, and back."""

from collections.abc import Iterable
from typing import Any

from deployer.engine.codes import PREFIX, sentence
from messages import Message, json_params
from messages.rendering import english, literal
from messages.texts import TEXTS

from .causes import cause_of
from .models import Operation, Step

ERROR_FIELDS = ("error", "error_code", "error_params", "cause")


def error_fields(message: Message | None, code: str = "", step: str = "", names: Iterable[str] = ()) -> dict[str, Any]:
    """Return the columns of an operation for this message. `code`: what is kept where there is none.

    `step` and `names`, those of the host: what its cause depends on, and what does not count for it.
    """
    if message is None:
        return {"error": "", "error_code": code, "error_params": None, "cause": ""}
    code = message.code.removeprefix(PREFIX)
    return {
        "error": english(sentence(message)),
        "error_code": code,
        "error_params": json_params(message.params),
        "cause": cause_of(message, code, step, names),
    }


def set_error(row: Operation, message: Message | None, code: str = "", names: Iterable[str] = ()) -> None:
    """Set the columns of ERROR_FIELDS on the row, whose `error_step` is set, without saving it."""
    for name, value in error_fields(message, code, row.error_step, names).items():
        setattr(row, name, value)


def message_of(row: Operation) -> Message | None:
    """Return what went wrong, without the sentences around it; None for an older row, and where nothing did."""
    code = f"{PREFIX}{row.error_code}"
    if not row.error or row.error_params is None or code not in TEXTS:
        return None
    return Message.from_json({"code": code, "params": row.error_params})


def error_of(row: Operation) -> Message | None:
    """Return the whole of what is said of the operation; the sentence of an older row is shown as it is."""
    message = message_of(row)
    if message is not None:
        return sentence(message)
    return literal(row.error) if row.error else None


def reason_of(row: Step) -> Message | None:
    """Return why the step failed, or the remark that was made about it."""
    return _said(row.reason, row.detail)


def undo_reason_of(row: Step) -> Message | None:
    """Return the same of the step's undo."""
    return _said(row.undo_reason, row.undo_detail)


def _said(message: dict[str, Any] | None, sentence: str) -> Message | None:
    if message is not None:
        return Message.from_json(message)
    return literal(sentence) if sentence else None
