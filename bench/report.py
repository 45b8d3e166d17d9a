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
    "| run | × LIMIT | revert × LIMIT | × faster than Fabric | than Capistrano | than pyinfra | client CPU ms a host "
    "| lock 10,000, s | one behind 5,000, s | idle CPU % | idle MB |\n"
    "| --- |" + " --- |" * len(RUN_COLUMNS)
)


def race(found: list[Figure], before: list[Figure]) -> str:
    """Render the contestants beside LIMIT. `before`: the figures of the run before this one, so that a loss is seen."""
    earlier = {(figure.contestant, figure.where): f"{figure.ratio:.2f}" for figure in before}
    lines = [
        "| hosts | contestant | × LIMIT | from–to | last time | client CPU ms a host | host CPU ms | good turns |",
        "| ---: | --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for one in found:
        last = earlier.get((one.contestant, one.where), "")
        lines.append(
            f"| {one.where} | {one.contestant} | {one.ratio:.2f} | {one.least:.2f}–{one.most:.2f} | {last} "
            f"| {one.cpu_ms_per_host:.0f} | {one.host_cpu_ms:.0f} | {one.good} of {one.turns} |"
        )
    return "\n".join(lines) + "\n"


def own(findings: list[Finding], before: Iterable[Finding] = ()) -> str:
    """Render the product's own figures, each with its goal and its last measured value."""
    earlier = {(one.measurement, one.name): one for one in before}
    lines = ["| what | | figure | goal | last time |", "| --- | --- | ---: | ---: | ---: |"]
    for one in findings:
        last = earlier.get((one.measurement, one.name))
        goal = f"< {_number(one.goal)}" if one.goal is not None else ""
        figure = _with_unit(one) if one.value is not None else f"not measured: {_cell(one.said)}"
        missed = " **missed**" if one.value is not None and one.goal is not None and one.value >= one.goal else ""
        lines.append(
            f"| {one.measurement} | {one.name} | {figure}{missed} | {goal} | {_with_unit(last) if last else ''} |"
        )
    return "\n".join(lines) + "\n"


def runs(document: str, name: str, told: dict) -> str:
    """Render the table with a line for each run, this one's after those that the document has."""
    kept = [line for line in document.splitlines()[2:] if line.startswith("|")][-(RUNS_KEPT - 1) :]
    cells = " | ".join(_told(told.get(key)) for key in RUN_COLUMNS)
    return "\n".join([RUN_HEAD, *kept, f"| {name} | {cells} |"]) + "\n"


def between(text: str, mark: str) -> str:
    """Return the text between the two comments of that name."""
    return text.partition(f"<!-- {mark}: begin -->\n")[2].partition(f"<!-- {mark}: end -->")[0]


def write(document: Path, mark: str, told: str) -> None:
    """Replace the text between the two comments of that name."""
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->\n"
    head, found, rest = document.read_text().partition(begin)
    if found:
        document.write_text(f"{head}{begin}{told}{end}{rest.partition(end)[2]}")


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_told(one)}" for key, one in value.items())
    return "" if value is None else f"{value:g}"


def _with_unit(one: Finding) -> str:
    return "" if one.value is None else f"{_number(one.value)} {one.unit}".strip()


def _number(value: float) -> str:
    """Format three figures; more would mean nothing: machines are noisy."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")[:160]
