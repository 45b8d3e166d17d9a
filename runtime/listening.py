"""Whether this worker process hears its broker. Written by runtime/consumer.py alone, read by anybody."""

from time import monotonic


class Listening:
    """True while messages wake this process; `seconds` since it became what it is."""

    def __init__(self) -> None:
        self._now, self._since = False, monotonic()

    def __bool__(self) -> bool:
        return self._now

    @property
    def seconds(self) -> float:
        return monotonic() - self._since

    def becomes(self, now: bool) -> None:
        if now != self._now:
            self._now, self._since = now, monotonic()


listening = Listening()
