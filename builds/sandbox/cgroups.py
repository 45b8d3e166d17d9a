"""A control group for each command of a build, if this process may create one: version 2 (delegated by the service
manager with Delegate=yes) or version 1. It limits the memory of all processes together, and their number."""

import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from .processes import end

SANDBOX_PROCESSES = 32  # processes and threads of the sandbox itself


@dataclass(frozen=True, slots=True)
class Base:
    """The parent of new groups. `folders`: one for version 2, or one for each controller of version 1."""

    version: int
    folders: tuple[str, ...]
    memory: str  # the folder of the memory controller


@dataclass(frozen=True, slots=True)
class Group:
    version: int
    folders: tuple[str, ...]
    memory: str

    def ended_by_memory(self) -> bool:
        """Return whether the kernel killed a process in it for lack of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        return _numbers(Path(self.memory) / name).get("oom_kill", 0) > 0

    def remove(self) -> None:
        """Kill the remaining processes and remove the group."""
        for folder in map(Path, self.folders):
            for _ in range(100):
                try:
                    end(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)


def find(root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc/self")) -> Base | None:
    """Return where this process can create groups with both limits, by trying it; None if it cannot."""
    for look in (_second, _first):
        base = look(root, proc)
        if base is not None and _works(base):
            return base
    return None


def make(base: Base, memory: int, processes: int) -> Group:
    """Create a group. Raise OSError."""
    name = f"deployer-build-{uuid.uuid4().hex[:16]}"
    folders = {folder: f"{folder}/{name}" for folder in base.folders}
    for folder in folders.values():
        Path(folder).mkdir()
    group = Group(base.version, tuple(folders.values()), folders[base.memory])
    try:
        _limit(group, memory, processes + SANDBOX_PROCESSES)
    except OSError:
        group.remove()
        raise
    return group


def _limit(group: Group, memory: int, processes: int) -> None:
    if group.version == 2:
        must = {"memory.max": memory, "pids.max": processes}
        may = {"memory.swap.max": 0, "memory.oom.group": 1}
    else:
        must = {"memory.limit_in_bytes": memory, "pids.max": processes}
        may = {"memory.memsw.limit_in_bytes": memory}
    for name, value in must.items():
        folder = group.memory if name.startswith("memory") else group.folders[-1]
        (Path(folder) / name).write_text(str(value))
    for name, value in may.items():
        try:
            (Path(group.memory) / name).write_text(str(value))
        except OSError:  # swap is not accounted here
            continue


def _works(base: Base) -> bool:
    try:
        make(base, 64 * 1024**2, 64).remove()
    except OSError:
        return False
    return True


def _second(root: Path, proc: Path) -> Base | None:
    """Return the parent for version 2. Controllers are delegated only from a group without processes: if only this
    process and its children are in the group, they move one level down."""
    path = _paths(proc).get("")
    if path is None or not (root / "cgroup.controllers").exists():
        return None
    own = root / path.lstrip("/")
    if own.name == "deployer-worker" and {"memory", "pids"} <= _words(own.parent / "cgroup.subtree_control"):
        return Base(2, (str(own.parent),), str(own.parent))
    if not {"memory", "pids"} <= _words(own / "cgroup.controllers") or not os.access(own, os.W_OK):
        return None
    inside = (own / "cgroup.procs").read_text().split()
    if not _all_ours(inside):
        return None
    try:
        (own / "deployer-worker").mkdir(exist_ok=True)
        for pid in inside:
            (own / "deployer-worker" / "cgroup.procs").write_text(pid)
        (own / "cgroup.subtree_control").write_text("+memory +pids")
    except OSError:
        return None
    return Base(2, (str(own),), str(own))


def _first(root: Path, proc: Path) -> Base | None:
    """Return the parent for version 1: for each controller, the group of this process."""
    paths = _paths(proc)
    folders = [root / name / paths[name].lstrip("/") for name in ("memory", "pids") if name in paths]
    if len(folders) < 2 or not all(folder.is_dir() for folder in folders):
        return None
    return Base(1, tuple(map(str, folders)), str(folders[0]))


def _paths(proc: Path) -> dict[str, str]:
    """Return {controller: path}; version 2 has the empty name."""
    paths = {}
    for line in (proc / "cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        paths.update(dict.fromkeys(names.split(","), path))
    return paths


def _all_ours(pids: list[str]) -> bool:
    """Return whether all are this process or its descendants: no other process is moved."""
    from .processes import below

    ours = {str(process.pid) for process in below(os.getpid())}
    return bool(pids) and set(pids) <= ours


def _words(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except OSError:
        return set()


def _numbers(file: Path) -> dict[str, int]:
    try:
        pairs = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return {}
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
