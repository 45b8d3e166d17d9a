"""Makes one of the demo's hosts misbehave, so that you can watch what happens:

    python -m demo.misbehave web-fra-2 fail start    the next change of the service fails in this step
    python -m demo.misbehave web-fra-2 hang check    … does not come back from this step
    python -m demo.misbehave web-fra-2 drop 10       every SSH connection of the host is cut, for so many seconds
    python -m demo.misbehave web-fra-2 full          the disk below a run's own files is full (Linux, root only)
    python -m demo.misbehave web-fra-2 heal          all of that ends

Steps: pre, stop, start, check, post. The undo does not misbehave, so the old version runs again.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from .service import definition

STEPS = ("pre", "stop", "start", "check", "post")
TINY = "64k"  # of disk, once it is full
# What a step that fails prints. No address and no number in it: hosts that fail alike have one cause.
SAID = {
    "pre": "the load balancer does not answer: the host stays in traffic",
    "stop": "the service does not end: it still has open requests",
    "start": "config.toml: gift_cards.provider is missing",
    "check": "GET /health: 503, the database refuses connections",
    "post": "the load balancer does not answer: the host stays out of traffic",
}
HANGS = "waiting for the lock of the migrations"


def script(kind: str, step: str, spared: str) -> str:
    """Return the script that every command of the demo's service reads first. Pure.

    The version that runs now, `spared`, behaves (except in `stop`, which concerns it alone): so an undo works.
    """
    said = shlex.quote(SAID[step] if kind == "fail" else HANGS)
    action = f"echo {said} >&2; {'exit 7' if kind == 'fail' else 'sleep 86400'}"
    condition = "" if step == "stop" else f' && [ "$VERSION" != {shlex.quote(spared)} ]'
    return f'if [ "$at" = {step} ]{condition}; then {action}; fi\n'


def misbehave(root: Path, kind: str, step: str = "", folder: Path | None = None) -> str:
    """Make the host whose base path is `root` misbehave. Return what was done. Raise ValueError for wrong arguments."""
    service = root / definition.NAME
    switch = service / "shared" / "misbehave"
    if kind in ("fail", "hang"):
        if step not in STEPS:
            raise ValueError(f"{kind}: name one of the steps {', '.join(STEPS)}")
        current = service / "current"
        switch.write_text(script(kind, step, Path(os.readlink(current)).name if current.is_symlink() else ""))
        return f"the next change {kind}s in {step}"
    if kind == "drop":
        return f"{_drop(folder or root.parent, float(step or 5))} connections were cut"
    if kind == "full":
        return _fill(service / ".deployer" / "runs")
    if kind == "heal":
        switch.unlink(missing_ok=True)
        subprocess.run(["umount", service / ".deployer" / "runs"], stderr=subprocess.DEVNULL, check=False)
        return "it behaves again"
    raise ValueError("name one of: fail STEP, hang STEP, drop SECONDS, full, heal")


def _drop(folder: Path, seconds: float) -> int:
    """Kill the processes of the host's SSH connections as they come. The server itself, and what runs, live on."""
    cut, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        for pid in _connections(folder):
            with suppress(ProcessLookupError):  # it ended by itself meanwhile
                os.kill(pid, signal.SIGKILL)
                cut += 1
        time.sleep(0.1)
    return cut


def _connections(folder: Path) -> list[int]:
    """Return sshd's own children and grandchildren of the SSH server whose configuration lies in `folder`."""
    parents, servers = {}, []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if "sshd" in words.partition("\0")[0]:
                parents[int(entry.name)] = int(stat[1])
                if f"{folder}/" in words:
                    servers.append(int(entry.name))
    children = [pid for pid, parent in parents.items() if parent in servers]
    return children + [pid for pid, parent in parents.items() if parent in children]


def _fill(runs: Path) -> str:
    if os.geteuid() != 0:
        raise ValueError("only root can make a disk small enough to fill it")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TINY}", "tmpfs", runs], check=True)
    with (runs / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(b"\0" * 4096):
                pass
        except OSError:
            return "its disk is full"
    return "its disk is full"


def main(words: list[str]) -> int:
    record = Path(os.environ.get("DATA_DIR", "var")) / "demo.json"
    try:
        hosts = {host["hostname"]: Path(host["root"]) for host in json.loads(record.read_text())["hosts"]}
        name, kind, step = [*words, "", "", ""][:3]
        if name not in hosts:
            raise ValueError(f"name one of the hosts {', '.join(hosts)}")
        print(f"{name}: {misbehave(hosts[name], kind, step)}")
    except (ValueError, OSError) as error:
        print(f"{error}\n\n{__doc__}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
