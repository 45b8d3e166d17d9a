"""var/bench-history.jsonl: every turn and figure of every run, one JSON object per line."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from .results import Finding, Row


class History:
    def __init__(self, path: Path):
        self.path = path

    def add(self, one: Row | Finding) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(one)) + "\n")

    def runs(self) -> dict[str, list[Row]]:
        """Return the contestants' turns by the beginning of their run, oldest first."""
        found: dict[str, list[Row]] = {}
        for line in self._lines():
            if "contestant" in line:
                found.setdefault(line["began"], []).append(Row(**line))
        return found

    def findings(self) -> list[Finding]:
        """Return the newest finding of each name that has a value."""
        found = (Finding(**line) for line in self._lines() if "measurement" in line)
        return list({(one.measurement, one.name): one for one in found if one.value is not None}.values())

    def _lines(self) -> Iterator[dict]:
        if self.path.exists():
            yield from map(json.loads, self.path.read_text().splitlines())
