"""The result of a measurement. Measurements yield figures one by one, so that those before a failure are kept."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`goal`: the value should stay below it. `value`: None if it could not be measured; `said`: why."""

    name: str
    value: float | None
    unit: str = ""
    goal: float | None = None
    said: str = ""
