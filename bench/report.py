"""The tables in Markdown. Pure except for `write`, which puts one between its marks in a document."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .results import Figure, Finding

RUNS_KEPT = 20
RUN_COLUMNS = (
    "vs_limit",
    "revert_vs_limit",
    "vs_fabric",
    "vs_capistrano",
    "vs_pyinfra",
    "client_cpu_ms_per_host",
    "lock_10000_s",
    "small_behind_big_s",
    "idle_cpu_percent",
    "idle_mb",
)
RUN_HEAD = (
    "| run | × LIMIT | revert × LIMIT | × faster than Fabric | than Capistrano | than pyinfra | client CPU ms / host "
    "| lock 10,000, s | one behind 5,000, s | idle CPU, % | idle, MB |\n"
    "| --- |" + " --- |" * len(RUN_COLUMNS)
)


def race(contestants: list[Figure], before: list[Figure]) -> str:
    """Render the contestants beside LIMIT. `before`: the figures of the run before this one, so that a loss is seen."""
    earlier = {(figure.contestant, figure.where): f"{figure.ratio:.2f}" for figure in before}
    lines = [
        "| hosts | contestant | × LIMIT | range | last run | client CPU ms / host | host CPU ms / host | good turns |",
        "| ---: | --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for figure in contestants:
        last = earlier.get((figure.contestant, figure.where), "")
        span = f"{figure.least:.2f}–{figure.most:.2f}"
        lines.append(
            f"| {figure.where} | {figure.contestant} | {figure.ratio:.2f} | {span} | {last} "
            f"| {figure.cpu_ms_per_host:.0f} | {figure.host_cpu_ms:.0f} | {figure.good} of {figure.turns} |"
        )
    return "\n".join(lines) + "\n"


def own(findings: list[Finding], before: Iterable[Finding] = ()) -> str:
    """Render the product's own figures, each with its goal and its last measured value."""
    earlier = {(finding.measurement, finding.name): finding for finding in before}
    lines = ["| measurement | | figure | goal | last run |", "| --- | --- | ---: | ---: | ---: |"]
    for finding in findings:
        last = earlier.get((finding.measurement, finding.name))
        goal = f"< {_number(finding.goal)}" if finding.goal is not None else ""
        figure = _with_unit(finding) if finding.value is not None else f"not measured: {_cell(finding.reason)}"
        if finding.value is not None and finding.goal is not None and finding.value >= finding.goal:
            figure += " **missed**"
        previous = _with_unit(last) if last else ""
        lines.append(f"| {finding.measurement} | {finding.name} | {figure} | {goal} | {previous} |")
    return "\n".join(lines) + "\n"


def runs(document: str, name: str, summary: dict) -> str:
    """Render the table with a line for each run, this one's after those in the document. `summary`: var/bench.json."""
    kept = [line for line in document.splitlines()[2:] if line.startswith("|")][-(RUNS_KEPT - 1) :]
    cells = " | ".join(_plain(summary.get(key)) for key in RUN_COLUMNS)
    return "\n".join([RUN_HEAD, *kept, f"| {name} | {cells} |"]) + "\n"


def between(text: str, mark: str) -> str:
    """Return the text between the two comments of that name."""
    return text.partition(f"<!-- {mark}: begin -->\n")[2].partition(f"<!-- {mark}: end -->")[0]


def write(document: Path, mark: str, table: str) -> None:
    """Replace the text between the two comments of that name."""
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->\n"
    head, begins, rest = document.read_text().partition(begin)
    if begins:
        document.write_text(f"{head}{begin}{table}{end}{rest.partition(end)[2]}")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(item)}" for key, item in value.items())
    return "" if value is None else f"{value:g}"


def _with_unit(finding: Finding) -> str:
    return "" if finding.value is None else f"{_number(finding.value)} {finding.unit}".strip()


def _number(value: float) -> str:
    """Format three figures; more would mean nothing: machines are noisy."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")[:160]
