"""`make bench`: measure the product beside the bare OpenSSH client and other tools, and report the results."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from runtime.renamed_settings import refuse_renamed

from . import lab as labs
from . import report
from .figure import Figure
from .history import History
from .lab import Lab
from .product import ROOT
from .race import FAR, USUAL, Race
from .results import Finding, Row, figures, summary

RACE = "race"
# In this order. Each except the race is a module with a function `measure`, named as in the tables.
OWN = (
    "startup",
    "click",
    "images",
    "jump",
    "memory",
    "idle",
    "pages",
    "watch",
    "lock",
    "growth",
    "fairness",
    "image_builds",
)
TIMEOUT, RACE_TIMEOUT = 400, 1800  # seconds for one measurement
DOCUMENT = ROOT / "docs" / "performance.md"


class Run:
    """One run of the bench. An error in a measurement is a line and a null; the next measurement follows."""

    def __init__(self, history: History, began: str):
        self._history, self._began = history, began
        self.rows: list[Row] = []
        self.findings: list[Finding] = []

    def race(self, lab: Lab, contestants: list[str], hosts: list[tuple[int, float]], turns: int) -> None:
        """Run the race. `hosts`: how many, and the ms that a round trip to them takes."""
        try:
            for rtt in dict.fromkeys(rtt for _, rtt in hosts):
                race = Race(lab, contestants or (FAR if rtt else USUAL), self._began, self._keep_row, rtt)
                for name, why in race.missing.items():
                    self._keep(Finding(self._began, RACE, name, None, reason=why))
                for count in (count for count, far in hosts if far == rtt):
                    race.run(count, turns)
        except Exception as error:  # noqa: BLE001 - whatever it was: the bench goes on
            self._failed(RACE, error)

    def measure(self, name: str, lab: Lab) -> None:
        try:
            measure: Callable[[Lab], Iterator[Figure]] = import_module(f"bench.{name}").measure
            for figure in measure(lab):
                self._keep(
                    Finding(self._began, name, figure.name, figure.value, figure.unit, figure.goal, figure.reason)
                )
        except Exception as error:  # noqa: BLE001 - whatever it was: the bench goes on
            self._failed(name, error)

    def _failed(self, name: str, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        self._keep(Finding(self._began, name, "all or the rest", None, reason=" ".join(reason.split())[:300]))

    def _keep_row(self, row: Row) -> None:
        self.rows.append(row)
        self._history.add(row)

    def _keep(self, finding: Finding) -> None:
        self.findings.append(finding)
        self._history.add(finding)
        value = (
            f"{finding.value:.4g} {finding.unit}" if finding.value is not None else f"not measured: {finding.reason}"
        )
        print(f"{finding.measurement:10} {finding.name:48} {value}", flush=True)

    @property
    def good(self) -> bool:
        return all(row.good for row in self.rows) and all(finding.value is not None for finding in self.findings)


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that started processes are ended
    signal.signal(signal.SIGALRM, _too_long)
    refuse_renamed()
    var = Path(os.environ.get("DATA_DIR", "").strip() or ROOT / "var").absolute()
    history = History(var / "bench-history.jsonl")
    last_race, last_own = figures(list(history.runs().values())[-1] if history.runs() else []), history.findings()
    run = Run(history, datetime.now(UTC).isoformat(timespec="seconds"))
    folder = Path(tempfile.mkdtemp(prefix="deployer-bench-", dir=labs.memory()))
    folder.chmod(0o755)
    print(f"everything is in {folder}", flush=True)
    lab = Lab(folder, max(*(count for count, _ in arguments.hosts), labs.SLOTS if "memory" in arguments.only else 1))
    try:
        for name in (RACE, *OWN):
            if name not in arguments.only:
                continue
            signal.alarm(RACE_TIMEOUT if name == RACE else TIMEOUT)
            if name == RACE:
                run.race(lab, arguments.contestants, arguments.hosts, arguments.turns)
            else:
                run.measure(name, lab)
    finally:
        signal.alarm(0)
        lab.close()
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    _report(run, var, last_race, last_own, arguments)
    return 0 if run.good else 1


def _too_long(*_: object) -> None:
    raise TimeoutError("the measurement took too long and was ended")


def _report(run: Run, var: Path, last_race: list, last_own: list[Finding], arguments: argparse.Namespace) -> None:
    """Print the tables; write var/bench.json and the document."""
    contestants = figures(run.rows)
    totals = summary(contestants, run.findings)
    tables = {}
    if contestants:
        tables["bench"] = report.race(contestants, last_race)
    if run.findings:
        tables["own figures"] = report.own(run.findings, last_own)
    print("\n" + "\n".join(tables.values()))
    var.mkdir(parents=True, exist_ok=True)
    (var / "bench.json").write_text(json.dumps(totals, indent=2) + "\n")
    if arguments.write:
        for mark, table in tables.items():
            report.write(DOCUMENT, mark, table)
        kept = report.between(DOCUMENT.read_text(), "runs")
        report.write(DOCUMENT, "runs", report.runs(kept, f"{datetime.now(UTC):%Y-%m-%d %H:%M}", totals))


def places(text: str, rtt: float = 0) -> tuple[int, float]:
    """Parse "50@20ms": 50 hosts, 20 ms there and back. Raise ValueError."""
    count, _, far = text.partition("@")
    return int(count), float(far.removesuffix("ms")) if far else rtt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run", description="Measure the product beside the OpenSSH client (LIMIT) and other tools."
    )
    words = lambda text: [word for word in text.split(",") if word]
    parser.add_argument(
        "--only",
        type=words,
        default=[RACE, *OWN],
        help=f"measurements, separated by commas: {','.join((RACE, *OWN))}; default: all",
    )
    parser.add_argument(
        "--hosts",
        type=words,
        default=["1", "50", "50@20ms"],
        help="numbers of hosts in the race, separated by commas; 50@20ms: behind a line with a round trip of 20 ms; "
        "default: 1,50,50@20ms",
    )
    parser.add_argument("--rtt", type=float, default=0, metavar="MS", help="round trip for --hosts without one")
    parser.add_argument("--turns", type=int, default=5, help="measured turns of each contestant; default: 5")
    parser.add_argument(
        "--contestants",
        type=words,
        default=[],
        help=f"default: {','.join(USUAL)}; behind a line {','.join(FAR)}; also ANSIBLE",
    )
    parser.add_argument("--no-write", dest="write", action="store_false", help="do not write docs/performance.md")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and hosts")
    arguments = parser.parse_args()
    if unknown := set(arguments.only) - {RACE, *OWN}:
        parser.error(f"--only: unknown measurement {', '.join(sorted(unknown))}")
    try:
        arguments.hosts = [places(text, arguments.rtt) for text in arguments.hosts]
    except ValueError:
        parser.error("--hosts takes numbers such as 50 or 50@20ms, separated by commas")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
