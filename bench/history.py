"""var/bench-history.jsonl: every turn and figure of every run, one JSON object per line."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from .results import Finding, Row


class History:
    def __init__(self, path: Path):
        self.path = path

    def add(self, entry: Row | Finding) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(entry)) + "\n")

    def runs(self) -> dict[str, list[Row]]:
        """Return the contestants' turns by the beginning of their run, oldest first."""
        rows: dict[str, list[Row]] = {}
        for line in self._lines():
            if "contestant" in line:
                rows.setdefault(line["began"], []).append(Row(**line))
        return rows

    def findings(self) -> list[Finding]:
        """Return the newest finding of each name that has a value."""
        newest: dict[tuple[str, str], Finding] = {}
        for line in self._lines():
            if line.get("measurement") and line["value"] is not None:
                line.pop("said", None)  # what `reason` was called
                newest[line["measurement"], line["name"]] = Finding(**line)
        return list(newest.values())

    def _lines(self) -> Iterator[dict]:
        if self.path.exists():
            yield from map(json.loads, self.path.read_text().splitlines())
