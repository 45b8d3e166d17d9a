"""How a deployment works through its targets, as a value: of a request, of a service (its default), or of a row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from messages import Message

MAX_TARGETS = 1_000_000


class OnFailure(StrEnum):
    """What happens when a deployment has more failures than its strategy allows."""

    HOLD = "hold"  # nothing more starts
    REVERT_BATCH = "revert_batch"  # and the successes of the same batch are reverted
    REVERT_ALL = "revert_all"  # and all successes are reverted, the last one first


class InvalidStrategy(ValueError):
    """A strategy that cannot be read: what is wrong (`reason`) at which place (`path`, "" or "/canary")."""

    def __init__(self, path: str, code: str, **params: Any):
        self.path, self.reason = path, Message(code, params)
        super().__init__(f"{path or '/'}: {code}")


@dataclass(frozen=True, slots=True)
class Strategy:
    """How a deployment works through its targets. The default: all at once, and hold on the first failure."""

    batch_size: int | str | None = None  # a number, a percentage such as "20%", or None: everything at once
    canary: int = 0  # deployed first, before all others
    max_failures: int = 0
    on_failure: OnFailure = OnFailure.HOLD
    pause_between: bool = False

    @classmethod
    def parse(cls, value: object) -> "Strategy":
        """Return the strategy that a request's JSON describes. Raise InvalidStrategy, with the path of the field."""
        if value is None:
            return cls()
        if not isinstance(value, Mapping):
            raise InvalidStrategy("", "must_be_object")
        unknown = sorted(set(value) - set(cls.__dataclass_fields__))
        if unknown:
            raise InvalidStrategy(f"/{unknown[0]}", "unknown_field")
        pause = value.get("pause_between", False)
        if not isinstance(pause, bool):
            raise InvalidStrategy("/pause_between", "not_boolean")
        on_failure = value.get("on_failure", OnFailure.HOLD)
        if on_failure not in list(OnFailure):
            raise InvalidStrategy("/on_failure", "not_one_of", choices=[str(word) for word in OnFailure])
        return cls(
            batch_size=_batch_size(value.get("batch_size"), "/batch_size"),
            canary=_count(value.get("canary", 0), "/canary"),
            max_failures=_count(value.get("max_failures", 0), "/max_failures"),
            on_failure=OnFailure(on_failure),
            pause_between=pause,
        )

    @classmethod
    def from_row(cls, value: Mapping[str, Any]) -> "Strategy":
        """Return the strategy that a row holds; it was checked before. What it leaves out is the default."""
        if not value:
            return cls()
        return cls(**{**value, "on_failure": OnFailure(value.get("on_failure", OnFailure.HOLD))})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "on_failure": str(self.on_failure)}

    def batch_length(self, targets: int) -> int:
        """Return how many targets each batch after the canary has, at least 1."""
        rest = max(1, targets - min(self.canary, targets))
        if self.batch_size is None:
            return rest
        if isinstance(self.batch_size, str):
            return max(1, targets * int(self.batch_size[:-1]) // 100)
        return self.batch_size

    def batches(self, targets: int) -> list[int]:
        """Return the sizes of the batches, in order."""
        sizes = [min(self.canary, targets)] if self.canary and targets else []
        left, length = targets - sum(sizes), self.batch_length(targets)
        return sizes + [min(length, left - done) for done in range(0, left, length)]


ALL_AT_ONCE = Strategy()


def _count(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TARGETS:
        raise InvalidStrategy(path, "number_range", min=0, max=MAX_TARGETS)
    return value


def _batch_size(value: object, path: str) -> int | str | None:
    if value is None:
        return None
    if isinstance(value, str) and value.endswith("%"):
        share = value[:-1]
        if share.isascii() and share.isdigit() and 1 <= int(share) <= 100 and len(share) <= 3:
            return f"{int(share)}%"
    elif isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_TARGETS:
        return value
    raise InvalidStrategy(path, "batch_size")
