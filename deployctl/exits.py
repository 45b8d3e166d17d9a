"""Exit statuses of the commands."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """The exit statuses; docs/api.md has the table."""

    SUCCESS = 0
    FAILED = 1
    USAGE_ERROR = 2
    TIMEOUT = 3
    CONFLICT = 4
    INTERRUPTED = 130  # as a shell says it of Ctrl-C


class Ended(Exception):
    """End the command with a sentence on stderr and an exit status. `problem`: the server's answer, for --json."""

    def __init__(self, message: str, status: Exit, problem: dict[str, Any] | None = None):
        super().__init__(message)
        self.message, self.status, self.problem = message, status, problem

    def as_json(self) -> str:
        """Return the server's refusal as it was answered, or an error of this program in the same form."""
        return json.dumps(self.problem or {"detail": self.message, "code": self.status.name.lower()})


class OutOfTime(Ended):
    """--timeout expired while the server could not be reached; the message says why."""

    def __init__(self, message: str):
        super().__init__(f"Timeout. {message}", Exit.TIMEOUT)
        self.reason = message
