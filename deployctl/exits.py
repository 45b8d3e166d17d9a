"""Exit statuses of the commands."""

from enum import IntEnum

import click


class Exit(IntEnum):
    """The exit statuses; docs/api.md has the table. 2 is click's own for usage errors."""

    SUCCESS = 0
    FAILED = 1
    USAGE_ERROR = 2
    TIMEOUT = 3
    CONFLICT = 4


class Ended(click.ClickException):
    """End the command with a sentence on stderr and an exit status."""

    def __init__(self, message: str, status: Exit):
        super().__init__(message)
        self.exit_code = int(status)  # type: ignore[misc]


class OutOfTime(Ended):
    """--timeout expired while the server could not be reached; the message says why."""

    def __init__(self, message: str):
        super().__init__(f"Timeout. {message}", Exit.TIMEOUT)
        self.reason = message
