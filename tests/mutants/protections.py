"""The mutants of protections.toml, as data."""

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Change:
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """`promise`: its number in docs/reliability.md. `test`: the pytest node id of the test that must fail."""

    name: str
    promise: int
    test: str
    changes: tuple[Change, ...]


def _read() -> list[Mutant]:
    rows = tomllib.loads((Path(__file__).parent / "protections.toml").read_text())["mutant"]
    return [
        Mutant(row["name"], row["promise"], row["test"], tuple(Change(**change) for change in row["change"]))
        for row in rows
    ]


MUTANTS = _read()
