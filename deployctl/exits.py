"""How a command ends, as its exit status."""

from enum import IntEnum

import click


class Exit(IntEnum):
    """What a script reads; docs/api.md has the whole table. 2 is click's own for wrong use."""

    WELL = 0
    BADLY = 1
    WRONG_USE = 2
    TIME_IS_UP = 3
    CONFLICT = 4


class Ended(click.ClickException):
    """Ends the command with a sentence on stderr and an exit status."""

    def __init__(self, message: str, status: Exit):
        super().__init__(message)
        self.exit_code = int(status)  # type: ignore[misc]


class OutOfTime(Ended):
    """--timeout is over while the server could not be asked; the message says why not."""

    def __init__(self, message: str):
        super().__init__(f"Time is up. {message}", Exit.TIME_IS_UP)
        self.reason = message
