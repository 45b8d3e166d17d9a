"""The exception of pure rules: a value is refused, and the reason is a message."""

from typing import Any

from . import Message
from .rendering import english


class InvalidValue(ValueError):
    """A value is not allowed. `reason` says why; the caller knows at which field. As text: the reason in English."""

    def __init__(self, reason: Message | str, **params: Any):
        self.reason = reason if isinstance(reason, Message) else Message(reason, params)
        super().__init__(self.reason.code)

    def __str__(self) -> str:
        return english(self.reason)
