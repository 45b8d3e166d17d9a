"""What a measurement gives: figures, one after the other, so that those before a failure are kept."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`goal`: what the value should stay below. `value` is None where it could not be measured; `said` tells why."""

    name: str
    value: float | None
    unit: str = ""
    goal: float | None = None
    said: str = ""
