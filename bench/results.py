"""What was measured: kept line by line, and summed up as ratios within one run of the bench."""
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

LIMIT, PRODUCT, REVERT = "LIMIT", "PRODUCT", "REVERT"
# Everything that var/bench.json may say; what was not measured is null.
KEYS = (
    "vs_limit", "vs_fabric", "vs_capistrano", "vs_pyinfra", "client_cpu_ms_per_host", "lock_10000_s", "revert_vs_limit",
    "small_behind_big_s", "idle_cpu_percent", "idle_mb",
)


@dataclass(frozen=True)
class Row:
    """One contestant's work on `hosts` hosts. Seconds; `cpu` is the client's side with all its resident parts,
    `host_cpu` that of sshd and all it ran."""

    began: str  # of the whole run of the bench
    contestant: str
    hosts: int
    turn: int
    wall: float
    cpu: float
    host_cpu: float
    carrying: int  # hosts that carry the version afterwards
    status: int

    @property
    def good(self) -> bool:
        return self.status == 0 and self.carrying == self.hosts


@dataclass(frozen=True)
class Figure:
    """Medians of a contestant's good turns, and how far they lie apart, in multiples of LIMIT's median."""

    contestant: str
    hosts: int
    wall: float
    ratio: float
    least: float
    most: float
    cpu_ms_per_host: float
    host_cpu_ms: float
    good: int
    turns: int


def figures(rows: Iterable[Row]) -> list[Figure]:
    """By number of hosts, and within it from the fastest to the slowest."""
    groups: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.hosts, row.contestant), []).append(row)
    found = []
    for (hosts, contestant), turns in groups.items():
        good = [row for row in turns if row.good]
        limits = [row.wall for row in groups.get((hosts, LIMIT), []) if row.good]
        if not good or not limits:
            continue
        walls, limit = [row.wall for row in good], median(limits)
        cpu = median(row.cpu for row in good) * 1000 / hosts
        host_cpu = median(row.host_cpu for row in good) * 1000 / hosts
        found.append(
            Figure(contestant, hosts, median(walls), median(walls) / limit, min(walls) / limit, max(walls) / limit, cpu,
                   host_cpu, len(good), len(turns))
        )  # fmt: skip
    return sorted(found, key=lambda figure: (figure.hosts, figure.ratio))


def summary(found: list[Figure]) -> dict:
    """What var/bench.json says."""
    by = {(figure.contestant, figure.hosts): figure for figure in found}
    most = max((figure.hosts for figure in found), default=0)
    told: dict = dict.fromkeys(KEYS)
    told["vs_limit"] = {str(hosts): round(f.ratio, 3) for (name, hosts), f in by.items() if name == PRODUCT}
    if (PRODUCT, most) in by:
        told["client_cpu_ms_per_host"] = round(by[PRODUCT, most].cpu_ms_per_host, 1)
    if (REVERT, most) in by:
        told["revert_vs_limit"] = round(by[REVERT, most].ratio, 3)
    return told


def table(found: list[Figure], before: list[Figure]) -> str:
    """As Markdown. `before`: the figures of the run before this one, so that a loss is seen."""
    earlier = {(figure.contestant, figure.hosts): f"{figure.ratio:.2f}" for figure in before}
    lines = [
        "| hosts | contestant | × LIMIT | from–to | last time | client CPU ms a host | host CPU ms | good turns |",
        "| ---: | --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for one in found:
        last = earlier.get((one.contestant, one.hosts), "")
        lines.append(
            f"| {one.hosts} | {one.contestant} | {one.ratio:.2f} | {one.least:.2f}–{one.most:.2f} | {last} "
            f"| {one.cpu_ms_per_host:.0f} | {one.host_cpu_ms:.0f} | {one.good} of {one.turns} |"
        )
    return "\n".join(lines) + "\n"


class History:
    """Every turn of every run of the bench, one JSON object a line."""

    def __init__(self, path: Path):
        self.path = path

    def add(self, row: Row) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")

    def runs(self) -> dict[str, list[Row]]:
        """Rows by the beginning of their run, oldest first."""
        found: dict[str, list[Row]] = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                row = Row(**json.loads(line))
                found.setdefault(row.began, []).append(row)
        return found
