"""How long a command goes on asking a server that does not answer, or answers that it cannot now."""

import time
from dataclasses import dataclass, field

TRIES = 4  # of a command that does not wait for a deployment's end
FIRST_CONTACT = 60.0  # seconds; a server that was never there in that time is a wrong address, or nobody starts it
LONGEST_PAUSE = 10.0  # seconds between two tries, where the server says nothing about it
MOST_TOLD = 300.0  # seconds of a Retry-After that are believed


@dataclass(slots=True)
class Patience:
    """`waits`: for a deployment's end, so that what happens to the web process meanwhile ends nothing. `timeout`: in
    seconds, from now on; 0: no limit."""

    waits: bool = False
    timeout: float = 0.0
    reached: bool = False  # the server was there, or may have got what was sent
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds until the time is up."""
        return self.began + self.timeout - time.monotonic() if self.timeout else float("inf")

    def pause(self, tried: int, told: float | None) -> float | None:
        """Seconds until the next try; None where it was the last one. `told`: what the server asks for."""
        wish = 0.3 * 2 ** min(tried, 10) if told is None else min(told, MOST_TOLD)
        if not self.waits:
            return min(wish, LONGEST_PAUSE) if tried < TRIES else None
        left = self.left
        if not self.reached:
            left = min(left, self.began + FIRST_CONTACT - time.monotonic())
        if left <= 0:
            return None
        return min(wish if told is not None else min(wish, LONGEST_PAUSE), left)
