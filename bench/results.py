"""The results: medians, ratios within one run, and the content of var/bench.json. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

LIMIT, PRODUCT, REVERT = "LIMIT", "PRODUCT", "REVERT"
# Everything in var/bench.json besides `figures`; what was not measured is null.
KEYS = (
    "vs_limit",
    "vs_fabric",
    "vs_capistrano",
    "vs_pyinfra",
    "client_cpu_ms_per_host",
    "lock_10000_s",
    "revert_vs_limit",
    "small_behind_big_s",
    "idle_cpu_percent",
    "idle_mb",
)
# How many times as long as the product others took, where there were the most hosts.
OTHERS = {"vs_fabric": "FABRIC", "vs_capistrano": "CAPISTRANO", "vs_pyinfra": "PYINFRA"}
DATABASES = ("sqlite", "postgresql")


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
    rtt: float = 0  # ms that a round trip to the hosts takes

    @property
    def good(self) -> bool:
        return self.status == 0 and self.carrying == self.hosts


@dataclass(frozen=True)
class Finding:
    """One of the product's own figures. `value` is None where it could not be measured; `reason` then says why."""

    began: str
    measurement: str
    name: str
    value: float | None
    unit: str = ""
    goal: float | None = None  # what it should stay below
    reason: str = ""


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
    rtt: float = 0

    @property
    def where(self) -> str:
        return where(self.hosts, self.rtt)


def where(hosts: int, rtt: float) -> str:
    """Return "50", or "50@20ms" behind a line with a round trip of 20 ms."""
    return f"{hosts}@{rtt:g}ms" if rtt else str(hosts)


def figures(rows: Iterable[Row]) -> list[Figure]:
    """Sort the figures by round trip and number of hosts, and within these from the fastest to the slowest."""
    groups: dict[tuple[float, int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.rtt, row.hosts, row.contestant), []).append(row)
    result = []
    for (rtt, hosts, contestant), turns in groups.items():
        good = [row for row in turns if row.good]
        limits = [row.wall for row in groups.get((rtt, hosts, LIMIT), []) if row.good]
        if not good or not limits:
            continue
        walls, limit = [row.wall for row in good], median(limits)
        cpu = median(row.cpu for row in good) * 1000 / hosts
        host_cpu = median(row.host_cpu for row in good) * 1000 / hosts
        result.append(
            Figure(
                contestant,
                hosts,
                median(walls),
                median(walls) / limit,
                min(walls) / limit,
                max(walls) / limit,
                cpu,
                host_cpu,
                len(good),
                len(turns),
                rtt,
            )
        )
    return sorted(result, key=lambda figure: (figure.rtt, figure.hosts, figure.ratio))


def summary(contestants: list[Figure], findings: Iterable[Finding] = ()) -> dict:
    """Return the contents of var/bench.json: KEYS, and every finding by measurement and name below `figures`."""
    by = {(figure.contestant, figure.hosts): figure for figure in contestants if not figure.rtt}
    most = max((figure.hosts for figure in by.values()), default=0)
    result: dict = dict.fromkeys(KEYS)
    result["vs_limit"] = {
        figure.where: round(figure.ratio, 3) for figure in contestants if figure.contestant == PRODUCT
    } or None
    if product := by.get((PRODUCT, most)):
        result["client_cpu_ms_per_host"] = round(product.cpu_ms_per_host, 1)
        for key, name in OTHERS.items():
            if other := by.get((name, most)):
                result[key] = round(other.wall / product.wall, 2)
    if (REVERT, most) in by:
        result["revert_vs_limit"] = round(by[REVERT, most].ratio, 3)
    own: dict[str, dict[str, float | None]] = {}
    for finding in findings:
        own.setdefault(finding.measurement, {})[finding.name] = finding.value
    lock = own.get("lock", {})
    result["lock_10000_s"] = {name: lock.get(f"10,000 instances, {name}") for name in DATABASES} if lock else None
    result["small_behind_big_s"] = own.get("fairness", {}).get("one behind 5,000")
    result["idle_cpu_percent"] = own.get("idle", {}).get("CPU")
    result["idle_mb"] = own.get("idle", {}).get("memory")
    return result | {"figures": own}
