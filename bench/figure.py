"""The result of a measurement. Measurements yield figures one by one, so that those before a failure are kept."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A figure. Its value should stay below `goal`. `value`: None if it could not be measured; `reason`: why."""

    name: str
    value: float | None
    unit: str = ""
    goal: float | None = None
    reason: str = ""
