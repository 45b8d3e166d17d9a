"""What a request for a train says, parsed; nothing is looked up yet."""

from dataclasses import dataclass

from ..models import Train

MAX_STAGES, MAX_PARTS = 20, 100  # of a train
MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """A service, by id or name, and the version that it is to run."""

    service: int | str
    version: int | str

    @classmethod
    def at(cls, stage: int, position: int) -> str:
        """Return the pointer to an entry of a request."""
        return f"/stages/{stage}/{position}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """A request for a train. `environment`: by id or name; "": hosts in none; None: where all instances are."""

    name: str
    stages: tuple[tuple[Entry, ...], ...]
    environment: int | str | None = None
    on_failure: Train.OnFailure = Train.OnFailure.HOLD
    note: str = ""
    plan_token: str | None = None  # of the plan that was shown
