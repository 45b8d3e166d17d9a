"""Write the figures of the last storm into docs/reliability.md: `python -m tests.storm.figures [storm.json]`."""

import json
import re
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

from .tally import PROMISES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"
SECTION = re.compile(r"(<!-- storm: .*? -->\n).*?(<!-- end of storm -->)", re.DOTALL)


def lines(storm: dict, day: str) -> str:
    """Return the section's text: totals and promises as tables, and the faults."""
    totals = {
        "faults": sum(storm["faults"].values()),
        "different crash points met": storm["crash_points_met"],
        "deployments": storm["deployments"],
        "operations": storm["operations"],
        "takeovers": storm["takeovers"],
        "takeover p50 / p99": f"{storm['takeover_p50_s']} s / {storm['takeover_p99_s']} s",
        "late workers refused by the rows": storm["fence_refusals_by_rows"],
        "late workers refused by hosts": storm["fence_refusals_by_hosts"],
        "live events followed": storm["events_followed"],
    }
    promises = [
        f"| {number} | {PROMISES[int(number)]} | {row['checked']} | {row['failed']} |"
        for number, row in storm["promises"].items()
    ]
    faults = ", ".join(f"{kind} {count}" for kind, count in storm["faults"].items())
    return (
        "\n".join(
            [
                f"{day}, seed {storm['seed']}, {storm['seconds'] / 60:.0f} minutes, on {storm['databases']}.",
                "",
                "| counted | |",
                "| --- | --- |",
                *(f"| {what} | {count} |" for what, count in totals.items()),
                "",
                "| promise | | checked | failed |",
                "| --- | --- | --- | --- |",
                *promises,
                "",
                *textwrap.wrap(f"Faults by kind: {faults}.", 120),
                *(f"Not possible there: {line}." for line in storm["not_possible_here"]),
            ]
        )
        + "\n"
    )


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "var" / "storm.json"
    day = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%d %B %Y").lstrip("0")
    text = lines(json.loads(path.read_text()), day)
    page, count = SECTION.subn(lambda found: found.group(1) + text + found.group(2), PAGE.read_text())
    if count != 1:
        sys.exit(f"{PAGE} has no place for the figures")
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
