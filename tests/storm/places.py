"""The hosts of a storm: folders behind real sshds and relays, and the service that lives on them.

Every command writes one line to `shared/trace`, behind its operation's number, and the same line, as `said …`, to its
output; so what ran for which operation, in which order, how often, and whether its output arrived can be compared: the
system tries a failed delete again by itself, and that is another operation. A file `shared/at-WORD-VERSION` is sourced
by the command of that name: so a storm makes a command fail, hang or take long.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.lab import processes
from tests.lab.relay import Relay
from tests.lab.sshd import Sshd

SERVICE = "shop"
LINES = 60  # that the pre hook prints
_LINE = (
    'echo "$_OP {0} $VERSION" >>"$SHARED/trace"; echo "said {0} $VERSION"; '
    '[ ! -e "$SHARED/at-{0}-$VERSION" ] || . "$SHARED/at-{0}-$VERSION"; '
)
START = _LINE.format("start") + (
    'setsid sh -c \'echo $$ >"$SHARED/pid"; echo "$VERSION" >"$SHARED/running"; exec sleep 100000\' '
    '>/dev/null 2>&1 </dev/null & n=0; while [ "$(cat "$SHARED/running" 2>/dev/null)" != "$VERSION" ]; '
    "do n=$((n + 1)); [ $n -lt 200 ] || exit 9; sleep 0.05; done"
)
STOP = _LINE.format("stop") + (
    'if [ -s "$SHARED/pid" ]; then kill "$(cat "$SHARED/pid")" 2>/dev/null; fi; rm -f "$SHARED/pid" "$SHARED/running"'
)
CHECK = '[ "$(cat "$SHARED/running")" = "$VERSION" ] && kill -0 "$(cat "$SHARED/pid")"'
DEFINITION = {
    "start_command": START,
    "stop_command": STOP,
    "check_command": CHECK,
    "check_timeout": 8,
    "pre_command": _LINE.format("pre") + 'cat "$RELEASE/lines" 2>/dev/null; true',
    "pre_undo_command": _LINE.format("undo-pre"),
    "post_command": _LINE.format("post"),
    "post_undo_command": _LINE.format("undo-post"),
    "steps": [
        {"name": "migrate", "before": "start", "run": _LINE.format("migrate"), "undo": _LINE.format("undo-migrate")}
    ],
    "keep_releases": 3,
}


def contents(version: str) -> dict[str, str]:
    """Return the files of a version's package."""
    noise = hashlib.sha256(version.encode()).hexdigest()
    lines = "".join(f"line {number} of {version}\n" for number in range(LINES))
    return {"VERSION": version, "bin/app": f"#!/bin/sh\necho {version}\n", "lines": lines, "noise": noise * 500}


class Place:
    """One host as the product knows it: an address (a relay's), and a folder behind it."""

    def __init__(self, number: int, sshd: Sshd, root: Path):
        self.number, self.sshd, self.root = number, sshd, root
        root.mkdir(parents=True)
        self.relay = Relay(sshd.address, sshd.port)
        self.relay.__enter__()
        self.name = f"h{number}"
        self.asset_id = 0
        self.small_disk = False
        self.silent_service = False  # rebooted since it was last started: nothing runs, and nothing has to

    @property
    def folder(self) -> Path:
        return self.root / SERVICE

    @property
    def shared(self) -> Path:
        return self.folder / "shared"

    @property
    def current(self) -> str:
        link = self.folder / "current"
        return os.readlink(link).removeprefix("releases/") if link.is_symlink() else ""

    def trace(self, since: int = 0) -> list[tuple[int, str]]:
        """(operation, line) for each command that ran, from the line `since` on."""
        path = self.shared / "trace"
        lines = path.read_text().splitlines()[since:] if path.exists() else []
        return [(int(number), line) for number, _, line in (line.partition(" ") for line in lines)]

    def arm(self, point: str) -> None:
        """Let the next run that reaches `NAME [step]` die there, with all its processes."""
        (self.folder / ".deployer").mkdir(parents=True, exist_ok=True)
        (self.folder / ".deployer" / "crash").write_text(point + "\n")

    def disarm(self) -> bool:
        """Return whether the point was met."""
        path = self.folder / ".deployer" / "crash"
        there = path.exists()
        path.unlink(missing_ok=True)
        return not there

    def at(self, word: str, version: str, text: str) -> None:
        self.shared.mkdir(parents=True, exist_ok=True)
        (self.shared / f"at-{word}-{version}").write_text(text + "\n")

    def calm(self) -> None:
        for path in self.shared.glob("at-*"):
            path.unlink()

    def kill_runs(self) -> int:
        """Every process of a run, but not the service; what a crashed runner and its commands leave."""
        pids = [pid for pid in processes.using(self.folder / ".deployer") if processes.alive(pid)]
        for pid in pids:
            processes.kill(pid)
        return len(pids)

    def runs_alive(self) -> list[int]:
        return [pid for pid in processes.using(self.folder / ".deployer") if processes.alive(pid)]

    def reboot(self) -> None:
        """All of the host's processes die, the service too. Nothing is started at boot: see Place.silent_service."""
        self.relay.cut()
        processes.end_using(self.root)
        self.silent_service = True

    def refused(self) -> int:
        """How often this host refused a lower fence: those that came after a higher one."""
        path, highest, count = self.folder / ".deployer" / "fence", 0, 0
        for word in path.read_text().split() if path.exists() else []:
            if word.isdigit():
                count += int(word) < highest
                highest = max(highest, int(word))
        return count

    def damage(self, packages: dict[str, dict[str, str]]) -> str:
        """Return what is wrong with the releases: each must be exactly its package, with nothing beside them."""
        for release in sorted((self.folder / "releases").glob("*")) + sorted((self.folder / "releases").glob(".*")):
            if release.name not in packages:
                return f"{release} should not be there"
            found = {str(path.relative_to(release)): path.read_text() for path in release.rglob("*") if path.is_file()}
            if found != packages[release.name]:
                return f"{release} is not what its package holds"
        return ""

    def end(self) -> None:
        self.relay.__exit__()
        processes.end_using(self.root)


def services() -> dict[str, list[int]]:
    """Living processes of the service, by the shared folder that they were started for."""
    found: dict[str, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if Path(f"/proc/{name}/cmdline").read_bytes() != b"sleep\x00100000\x00":
                continue
            for entry in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                if entry.startswith(b"SHARED="):
                    found.setdefault(entry[7:].decode(), []).append(int(name))
        except OSError:
            continue
    return found


class SmallDisk:
    """A folder on a file system of its own that can be filled. Needs root; `made` says whether there is one."""

    def __init__(self, folder: Path, kilobytes: int = 2048):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        self.made = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0

    def fill(self, leave: int) -> None:
        """Leaves so many bytes."""
        free = shutil.disk_usage(self.folder).free
        with (self.folder / "filling").open("wb") as file:
            file.write(b"\0" * max(0, free - leave))

    def empty(self) -> None:
        (self.folder / "filling").unlink(missing_ok=True)

    def read_only(self, on: bool = True) -> None:
        """As the kernel makes it after an error of the disk."""
        subprocess.run(["mount", "-o", "remount,ro" if on else "remount,rw", str(self.folder)], check=True)

    def end(self) -> None:
        if self.made:
            subprocess.run(["umount", "-l", str(self.folder)], capture_output=True)
