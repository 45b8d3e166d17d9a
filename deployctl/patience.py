"""How long a command retries a server that does not answer, or answers with a temporary error."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

MAX_TRIES = 4  # of a command that does not wait for a deployment's end
FIRST_CONTACT_TIMEOUT = 60.0  # seconds; a server never reached in that time has a wrong URL or does not run
MAX_PAUSE = 10.0  # seconds between two tries, without a Retry-After
MAX_RETRY_AFTER = 300.0  # seconds of a Retry-After that are respected


@dataclass
class Patience:
    """`waits`: for a deployment's end, whatever happens to the web process meanwhile. `timeout`: seconds from
    now; 0: no limit."""

    waits: bool = False
    timeout: float = 0.0
    reached: bool = False  # the server answered, or may have received a request
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """The seconds until the timeout."""
        return self.began + self.timeout - time.monotonic() if self.timeout else float("inf")

    def pause(self, tried: int, retry_after: float | None) -> float | None:
        """Return the seconds until the next try, or None if there is none. `retry_after`: what the server asks for."""
        pause = 0.3 * 2 ** min(tried, 10) if retry_after is None else min(retry_after, MAX_RETRY_AFTER)
        if not self.waits:
            return min(pause, MAX_PAUSE) if tried < MAX_TRIES else None
        left = self.left
        if not self.reached:
            left = min(left, self.began + FIRST_CONTACT_TIMEOUT - time.monotonic())
        if left <= 0:
            return None
        return min(pause if retry_after is not None else min(pause, MAX_PAUSE), left)
