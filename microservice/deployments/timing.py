"""When a request is to begin."""

from dataclasses import dataclass
from datetime import datetime

from ..models import OnFreeze


@dataclass(frozen=True, slots=True)
class Timing:
    """Not before `start_at` (None: at once), and what becomes of it in a freeze."""

    start_at: datetime | None = None
    on_freeze: OnFreeze = OnFreeze.WAIT


NOW = Timing()
