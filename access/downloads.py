"""Downloads: answers that are sent as fast as the client takes them. Each caller has few of them at once."""

from collections.abc import Iterator

from . import turns
from .problems import refused


class Download:
    """The pieces of a download. Closing it, which the web server does at its end, frees the caller's slot."""

    def __init__(self, pieces: Iterator[bytes], who: str):
        """Take a slot of the caller (`Caller.account`). Raise Problem 429 where none is free."""
        if not turns.downloads.enter(who):
            raise refused("too_many_downloads", headers={"Retry-After": "10"}, max=turns.downloads.limit)
        self._pieces, self._who = pieces, who

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        if who := self._who:
            self._who = ""
            turns.downloads.leave(who)
