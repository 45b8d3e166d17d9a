"""The contestants take turns on the same hosts: the product, the bare OpenSSH client and the usual tools."""

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from . import measure, packages
from .contestants import limit, tools
from .contestants.tools import Call, CannotBeHad, Contestant
from .lab import Lab
from .product import FIRST
from .results import LIMIT, PRODUCT, REVERT, Row, where

PIPELINE = [sys.executable, "-IS", str(Path(__file__).with_name("contestant.py"))]
FAR = (LIMIT, PRODUCT)  # where the hosts are far away and no others were requested
USUAL = (LIMIT, PRODUCT, tools.FABRIC, tools.FABRIC_ONE, tools.CAPISTRANO, tools.PYINFRA)
LONGEST = 300  # seconds for one turn


class Race:
    """Turns on the same hosts. `keep` gets every turn that counts. `rtt`: ms of a round trip to the hosts, for all."""

    def __init__(self, lab: Lab, names: Iterable[str], began: str, keep: Callable[[Row], None], rtt: float = 0):
        self._began, self._keep_row, self._rtt = began, keep, rtt
        self._hosts, self._product = lab.hosts_behind(rtt), lab.product_behind(rtt)
        self._folder = lab.folder / f"race-{rtt:g}"
        self._folder.mkdir()
        self._made = 0
        self.missing: dict[str, str] = {}  # contestant → why it could not be had
        script = limit.prepare(self._folder, self._hosts)
        described = tools.describe(self._folder, self._hosts)
        # Each deploys to the host's own folder, and leaves a pid in run/ and the version behind current.
        self._contestants: dict[str, Contestant] = {
            LIMIT: lambda hosts, package, version: Call(limit.command(script, hosts, package, version)),
            PRODUCT: lambda hosts, package, version: Call([*PIPELINE, str(hosts), str(package), version]),
            REVERT: lambda hosts, package, version: Call([*PIPELINE, str(hosts), "-", version]),
        }
        self._names = [name for name in names if name in (LIMIT, PRODUCT)]
        for name in names:
            if name not in self._contestants:
                self._get(name, described)

    def _get(self, name: str, described: Path) -> None:
        try:
            self._contestants[name] = tools.get(name, self._folder, described)
            self._names.append(name)
        except CannotBeHad as error:
            self.missing[name] = str(error)
            print(f"{name} is left out: {error}", flush=True)

    def run(self, hosts: int, turns: int) -> None:
        """Run a turn that does not count, then `turns` of each contestant; each time another one goes first."""
        for turn in range(turns + 1):
            at = turn % len(self._names)
            for name in self._names[at:] + self._names[:at]:
                self._keep(self._turn(name, hosts, turn))
                if name == PRODUCT:  # and at once back to what was there before
                    self._keep(self._turn(REVERT, hosts, turn))

    def _keep(self, row: Row) -> None:
        if row.turn:
            self._keep_row(row)

    def _host_cpu(self) -> float:
        """Return the CPU seconds of all sshd processes and what they ran, once the last connection is over."""
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
        call = self._contestants[name](listed, package, version)
        environment = dict(os.environ) | {"BENCH_API": str(self._product.api)} | call.environment
        before, host_before = measure.cpu_of(pids := self._product.pids()), self._host_cpu()
        cost = measure.run(call.command, environment, self._folder / "errors", LONGEST)
        cpu = cost.cpu + (measure.cpu_of(pids) - before if name in (PRODUCT, REVERT) else 0)
        carrying = self._hosts.carrying(addresses, version, packages.FILES + 1, name in (PRODUCT, REVERT))
        host_cpu = self._host_cpu() - host_before
        wall, cpu, host_cpu = round(cost.wall, 4), round(cpu, 3), round(host_cpu, 3)
        row = Row(self._began, name, hosts, turn, wall, cpu, host_cpu, carrying, cost.status, self._rtt)
        complaint = "" if row.good else f"  !! {cost.errors or 'not all hosts carry the version'}"
        at = f"{where(hosts, self._rtt):>7} hosts  turn {turn}  {name:10}"
        print(f"{at} {row.wall:7.3f} s  {carrying} of {hosts}{complaint}", flush=True)
        package.unlink(missing_ok=True)
        return row
