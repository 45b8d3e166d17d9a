"""What every request says: which kind it is, and when it is to begin."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol

from ..models import OnFreeze


@dataclass(frozen=True, slots=True)
class Timing:
    """Not before `start_at` (None: at once), and what becomes of it in a freeze."""

    start_at: datetime | None = None
    on_freeze: OnFreeze = OnFreeze.WAIT


NOW = Timing()


class Request(Protocol):
    """A request as a value."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def kind(self) -> str: ...

    @property
    def when(self) -> Timing: ...

    @property
    def plan_token(self) -> str | None: ...
