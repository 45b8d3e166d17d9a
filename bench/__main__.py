"""`make bench`: the product and LIMIT in turns on the same hosts, and what came of it."""
import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from . import limit, measure, packages
from .hosts import Hosts
from .product import FIRST, ROOT, Product
from .results import LIMIT, PRODUCT, REVERT, History, Row, figures, summary, table

CLIENT = [sys.executable, "-IS", str(Path(__file__).with_name("contestant.py"))]
BEGIN, END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"
ROOM = 3 << 30  # bytes of memory that the hosts' files may take before a disk is used for them


class Bench:
    """One run: a lab with hosts and the product in it, the contestants taking turns."""

    def __init__(self, folder: Path, most_hosts: int, history: History):
        self._folder, self._history = folder, history
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._hosts, self._product = Hosts(folder, most_hosts), Product(folder / "product")
        self._script = limit.prepare(folder, self._hosts)
        self._made = 0
        self.rows: list[Row] = []
        # Contestant → its command, from a file with the addresses, the package and the version. More tools take their
        # places here: each deploys to the host's own folder, and leaves a pid in run/ and the version behind current.
        self._contestants: dict[str, Callable[[Path, Path, str], list[str]]] = {
            LIMIT: lambda hosts, package, version: limit.command(self._script, hosts, package, version),
            PRODUCT: lambda hosts, package, version: [*CLIENT, str(hosts), str(package), version],
            REVERT: lambda hosts, package, version: [*CLIENT, str(hosts), "-", version],
        }

    def __enter__(self) -> "Bench":
        try:
            self._hosts.start()
            self._product.prepare()
            self._product.start()
            ssh = {"port": self._hosts.port, "username": self._hosts.user, "host_key": self._hosts.host_key}
            self._product.fill(self._hosts.addresses, self._hosts.root, ssh, self._hosts.key.read_text())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._product.stop()
        self._hosts.stop()

    def measure(self, hosts: int, turns: int) -> None:
        """A turn that does not count, then `turns` of each contestant, who goes first changing each time."""
        for turn in range(turns + 1):
            order = [name for name in self._contestants if name != REVERT]
            for name in order[turn % len(order):] + order[: turn % len(order)]:
                self._keep(self._turn(name, hosts, turn))
                if name == PRODUCT:  # and at once back to what was there before
                    self._keep(self._turn(REVERT, hosts, turn))

    def _keep(self, row: Row) -> None:
        if row.turn:
            self.rows.append(row)
            self._history.add(row)

    def _host_cpu(self) -> float:
        """Of all sshd processes and what they ran, once the last connection is over."""
        deadline = time.monotonic() + 5
        while any(len(measure.family(pid)) > 1 for pid in self._hosts.pids()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return measure.cpu_of(self._hosts.pids())

    def _turn(self, name: str, hosts: int, turn: int) -> Row:
        addresses = self._hosts.addresses[:hosts]
        listed = self._folder / f"hosts-{hosts}"
        listed.write_text("\n".join(addresses) + "\n")
        version, package = FIRST, Path("-")
        if name != REVERT:
            self._hosts.clear()
            self._made += 1
            version = f"v{self._made}"
            package = packages.make(self._folder, version)
        environment = dict(os.environ) | {"BENCH_API": str(self._product.api)}
        before, host_before = measure.cpu_of(pids := self._product.pids()), self._host_cpu()
        cost = measure.run(self._contestants[name](listed, package, version), environment, self._folder / "errors")
        cpu = cost.cpu + (measure.cpu_of(pids) - before if name in (PRODUCT, REVERT) else 0)
        carrying = self._hosts.carrying(addresses, version, packages.FILES + 1, name in (PRODUCT, REVERT))
        host_cpu = self._host_cpu() - host_before
        wall, cpu, host_cpu = round(cost.wall, 4), round(cpu, 3), round(host_cpu, 3)
        row = Row(self._began, name, hosts, turn, wall, cpu, host_cpu, carrying, cost.status)
        said = "" if row.good else f"  !! {cost.errors or 'not all hosts carry the version'}"
        print(f"{hosts:4} hosts  turn {turn}  {name:8} {row.wall:7.3f} s  {carrying} of {hosts}{said}", flush=True)
        package.unlink(missing_ok=True)
        return row


def main() -> int:
    asked = _arguments()
    var = Path(os.environ.get("VAR", "").strip() or ROOT / "var").absolute()
    history = History(var / "bench-history.jsonl")
    last = list(history.runs().values())[-1:]
    folder = Path(tempfile.mkdtemp(prefix="deployer-bench-", dir=_memory()))
    print(f"{max(asked.hosts)} hosts and the product in {folder}", flush=True)
    try:
        with Bench(folder, max(asked.hosts), history) as bench:
            for hosts in asked.hosts:
                bench.measure(hosts, asked.turns)
    finally:
        if not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)
    found = figures(bench.rows)
    told = table(found, figures(last[0]) if last else [])
    print(f"\n{told}")
    (var / "bench.json").write_text(json.dumps(summary(found), indent=2) + "\n")
    if asked.write:
        write_table(ROOT / "docs" / "performance.md", told)
    return 0 if bench.rows and all(row.good for row in bench.rows) else 1


def write_table(document: Path, told: str) -> None:
    """Replaces what stands between the two marks of the document."""
    head, _, rest = document.read_text().partition(BEGIN)
    document.write_text(f"{head}{BEGIN}{told}{END}{rest.partition(END)[2]}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description="The product beside the bare OpenSSH client.")
    numbers = lambda text: [int(number) for number in text.split(",")]
    parser.add_argument("--hosts", type=numbers, default=[1, 50], help="how many, with commas between (1,50)")
    parser.add_argument("--turns", type=int, default=5, help="of each contestant that count (5)")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/performance.md as it is")
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs and hosts")
    return parser.parse_args()


def _memory() -> str | None:
    """Where the hosts' files lie: in memory where there is room, so that no disk is measured; else in TMPDIR."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > ROOM
    return str(shared) if roomy else None


if __name__ == "__main__":
    sys.exit(main())
