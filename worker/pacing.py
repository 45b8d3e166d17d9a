"""When the writing thread of a worker writes. Pure: times are seconds of one monotonic clock."""

from dataclasses import dataclass

FLUSH_INTERVAL = 0.2  # seconds that progress is gathered before it is written
POLL_INTERVAL = 1.0  # seconds between two checks for lost and cancelled operations
# Seconds from one answer to the next while others are in flight. A round costs much the same for one result as for
# thirty, so the more operations may still end, the longer they are waited for; the last one is not delayed.
MIN_INTERVAL, INTERVAL_EACH, MAX_INTERVAL = 0.03, 0.008, 0.25


@dataclass(slots=True)
class Pacing:
    """The times of the last look and the last answer, and the pauses that follow from them."""

    polled: float = 0.0
    answered: float = 0.0

    def until_poll(self, now: float, in_flight: int) -> float | None:
        """Return the seconds until the next look; None where nothing is in flight that could be lost."""
        return max(0.0, self.polled + POLL_INTERVAL - now) if in_flight else None

    def is_poll_due(self, now: float) -> bool:
        return now - self.polled >= POLL_INTERVAL

    def until_answer(self, now: float, results: int, running: int) -> float:
        """Return the seconds to wait for further results: `results` are there, `running` operations may still end."""
        if running <= 0:
            return 0.0
        interval = min(MAX_INTERVAL, max(MIN_INTERVAL, INTERVAL_EACH * running)) if results else MIN_INTERVAL
        return max(0.0, self.answered + interval - now)
