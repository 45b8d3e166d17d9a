"""What a storm counts, as data: it is added up over databases, printed as a table and written as JSON."""

from collections import Counter
from dataclasses import dataclass, field

PROMISES = {
    1: "two requests never hold the same instance",
    2: "what was accepted reaches an end, and nothing stays locked",
    3: "nothing is carried out twice",
    4: "a host is on the old version or on the new one",
    5: "a failed step is undone in reverse, and the old tree is back",
    6: "a cut connection changes nothing, no output is lost or doubled",
    7: "a late worker cannot write",
    8: "a lost, late or doubled message does no harm",
    9: "cancel means stopped",
    13: "a release is exactly its package",
    17: "success only where the check was seen to pass",
    18: "full disk and reboot: a named error, the old version",
    19: "the swap is never seen half done",
    20: "a service outlives the connection that started it",
    21: "the same on SQLite and on PostgreSQL",
    27: "what waits begins once, as it was approved",
    28: "the stages of a train begin in order, each once",
}
ON_BOTH = tuple(range(1, 9))
KINDS = (
    "crash point in a process",
    "crash point on a host",
    "web killed",
    "web child killed",
    "worker killed",
    "worker frozen",
    "worker told to stop",
    "broker killed",
    "broker emptied",
    "message sent ten times",
    "database killed",
    "database frozen",
    "database held",
    "sshd sessions killed",
    "sshd frozen",
    "run killed on host",
    "line cut",
    "line frozen",
    "disk full",
    "host rebooted",
    "step failed",
    "cancelled",
    "waited for approval",
    "waited in a freeze",
    "waited for its time",
)


@dataclass
class Tally:
    database: str = ""
    seconds: float = 0.0
    rounds: int = 0
    faults: Counter = field(default_factory=Counter)
    operations: int = 0
    deployments: int = 0
    takeovers: int = 0
    takeover_seconds: list[float] = field(default_factory=list)
    refused_by_rows: int = 0
    refused_by_hosts: int = 0
    events_seen: int = 0
    checked: Counter = field(default_factory=Counter)
    failed: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    points_met: list[str] = field(default_factory=list)
    points_left: int = 0  # crash points that there was no time for
    points_missed: list[str] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)  # fault kinds that this machine does not allow, and why
    context: str = ""  # where a failure happened: put before its words

    def check(self, promise: int, holds: object, words: str) -> bool:
        self.checked[promise] += 1
        if not holds:
            self.failed[promise] += 1
            self.failures.append(f"promise {promise}, {self.context}: {words}")
        return bool(holds)

    def wrong(self, words: str) -> None:
        """Something that no promise names, and that must not be."""
        self.failures.append(f"{self.context}: {words}")

    def to_json(self) -> dict:
        return dict(vars(self))

    @classmethod
    def from_json(cls, data: dict) -> "Tally":
        counters = {"faults": Counter(data["faults"])}
        counters |= {key: Counter({int(n): c for n, c in data[key].items()}) for key in ("checked", "failed")}
        return cls(**{**data, **counters})


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else 0.0


NUMBERS = (
    "seconds",
    "rounds",
    "operations",
    "deployments",
    "takeovers",
    "refused_by_rows",
    "refused_by_hosts",
    "events_seen",
    "points_left",
)


def added_up(tallies: list[Tally]) -> Tally:
    whole = Tally(database=" and ".join(one.database for one in tallies))
    for one in tallies:
        for key in NUMBERS:
            setattr(whole, key, getattr(whole, key) + getattr(one, key))
        for key in ("takeover_seconds", "failures", "points_met", "points_missed", "impossible"):
            getattr(whole, key).extend(getattr(one, key))
        for key in ("faults", "checked", "failed"):
            getattr(whole, key).update(getattr(one, key))
    whole.points_met = sorted(set(whole.points_met))
    whole.points_missed = sorted(set(whole.points_missed) - set(whole.points_met))
    if len(tallies) > 1:
        whole.checked[21] = min(sum(one.checked[number] for number in ON_BOTH) for one in tallies)
        whole.failed[21] = sum(1 for number in ON_BOTH if not all(one.checked[number] for one in tallies))
        whole.failures += [
            f"promise 21: promise {number} was not checked on every database"
            for number in ON_BOTH
            if not all(one.checked[number] for one in tallies)
        ]
    return whole


def unreal(tally: Tally, thorough: bool, least_refusals: int) -> list[str]:
    """Why this was no storm: what a storm must have met and this one did not."""
    words = []
    if not tally.takeovers:
        words.append("nothing was ever taken over")
    refused = tally.refused_by_rows + tally.refused_by_hosts
    if refused < least_refusals:
        words.append(f"the fence refused {refused} times; it must be {least_refusals} at least")
    if not tally.refused_by_hosts:
        words.append("no host ever refused a lower fence")
    allowed = {line.split(":")[0] for line in tally.impossible}
    words += [f"never injected: {kind}" for kind in KINDS if not tally.faults[kind] and kind not in allowed]
    unchecked = [number for number in PROMISES if not tally.checked[number]]
    words += [f"promise {number} was never checked" for number in unchecked if number != 18 or not tally.impossible]
    if thorough:
        words += [f"a crash point was never met: {name}" for name in tally.points_missed]
    return words


def summary(tally: Tally) -> dict:
    """var/storm.json."""
    return {
        "faults": dict(sorted(tally.faults.items())),
        "operations": tally.operations,
        "takeovers": tally.takeovers,
        "takeover_p50_s": percentile(tally.takeover_seconds, 0.5),
        "takeover_p99_s": percentile(tally.takeover_seconds, 0.99),
        "fence_refusals": tally.refused_by_rows + tally.refused_by_hosts,
        "fence_refusals_by_rows": tally.refused_by_rows,
        "fence_refusals_by_hosts": tally.refused_by_hosts,
        "promises": {
            str(number): {"checked": tally.checked[number], "failed": tally.failed[number]}
            for number in PROMISES
            if tally.checked[number]
        },
        "databases": tally.database,
        "deployments": tally.deployments,
        "rounds": tally.rounds,
        "seconds": round(tally.seconds),
        "crash_points_met": len(tally.points_met),
        "crash_points_without_time": tally.points_left,
        "events_followed": tally.events_seen,
        "not_possible_here": tally.impossible,
        "failures": tally.failures,
    }


def table(tally: Tally) -> str:
    rows = [("", f"on {tally.database}, {tally.seconds:.0f} s", ""), ("FAULTS", "", "")]
    rows += [("", kind, str(tally.faults[kind])) for kind in KINDS if tally.faults[kind]]
    rows += [
        ("TOTALS", "", ""),
        ("", "faults", str(tally.faults.total())),
        ("", "different crash points met", str(len(tally.points_met))),
        *([("", "crash points that there was no time for", str(tally.points_left))] if tally.points_left else []),
        ("", "deployments", str(tally.deployments)),
        ("", "operations", str(tally.operations)),
        ("", "takeovers", str(tally.takeovers)),
        ("", "takeover p50 / p99, s", " / ".join(str(percentile(tally.takeover_seconds, n)) for n in (0.5, 0.99))),
        ("", "late workers refused by the rows / by hosts", f"{tally.refused_by_rows} / {tally.refused_by_hosts}"),
        ("", "live events followed", str(tally.events_seen)),
        ("PROMISES", "", "checked failed"),
    ]
    rows += [
        (f"{number:>8}", words, f"{tally.checked[number]:>7} {tally.failed[number]:>6}")
        for number, words in PROMISES.items()
        if tally.checked[number]
    ]
    return "\n".join(f"{left:<10}{middle:<68}{right:>14}".rstrip() for left, middle, right in rows)
