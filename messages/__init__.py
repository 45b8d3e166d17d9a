"""What the system says, as values: a code and its parameters. Texts stand in tables, and are made where they are shown.

`Message` is all that rules, the engine and rows know. texts/ has the table of texts; rendering.py makes a sentence of a
message in the reader's language. This package imports nothing of the system, so that every layer may use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """A message. `code` names its text in the table; what follows a dot names one of several texts of one code.

    `params`: JSON values, and messages inside this one. Whatever a person or a host said is a parameter, never a code.
    """

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return {"code": …, "params": {…}}, as rows keep it. `from_json` is the way back."""
        return {"code": self.code, "params": json_params(self.params)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Message":
        return cls(value["code"], {name: _from_json(param) for name, param in value.get("params", {}).items()})


def json_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON values: messages inside become {"code", "params"}."""
    return {name: _to_json(value) for name, value in params.items()}


def _to_json(value: Any) -> Any:
    if isinstance(value, Message):
        return value.as_json()
    if isinstance(value, (list, tuple)):
        return [_to_json(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _from_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Message.from_json(value)
    if isinstance(value, list):
        return [_from_json(one) for one in value]
    return value
