"""Run commands in the sandbox, under shared limits, and end every process of each."""

import contextlib
import ipaddress
import itertools
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from access.masking import Mask, Stream
from messages import Message

from ..providers import BuildRefused, BuildTimedOut, with_words
from . import cgroups, commands, layout, processes
from .commands import Bounds, Isolation
from .guardian import Guardian
from .holding import Hold
from .layout import Layout, Mount
from .processes import MARK
from .watching import Limits, ResourceMonitor

NOTHING = Mask(())
MAX_TAIL_BYTES = 64 * 1024  # of the output, kept
WAIT_INTERVAL = 0.05  # seconds
_NOISE = "No external routable interface for IPv6\n"  # pasta's, where the machine has none
_NO_FORK = (
    "annot fork",
    "fork: ",
    "Resource temporarily unavailable",
)  # printed by shells and programs at the limit of processes


class CommandFailed(BuildRefused):
    """A command ended with a nonzero exit status. `last_line`: the end of its output."""

    def __init__(self, step: Message, status: int, last_line: str, max_processes: int | None = None):
        params = {"step": step, "status": status}
        if max_processes is None:
            message = with_words("build_failed", last_line, **params)
        else:
            message = Message("build_failed.processes", {**params, "words": last_line, "max": max_processes})
        super().__init__(message)
        self.status, self.last_line = status, last_line


@dataclass(frozen=True)
class Command:
    """`step`: its name in messages. `cwd`: a path inside (`Run.inside`). Sources of `mounts`: paths of this machine.

    `output`: a file for standard output; only standard error is then part of the build's output.
    """

    step: Message
    words: Sequence[str]
    environment: Mapping[str, str]
    cwd: str
    mounts: tuple[Mount, ...] = ()
    network: bool = False
    output: IO[bytes] | None = None


class Run:
    """Run a build's commands one after the other in one folder.

    `hold` gets the end of the output every second, and ends what runs when the build is lost. `base`: where control
    groups can be created. `mask` removes secrets from the output before it is kept.
    """

    def __init__(
        self,
        way: Isolation,
        tools: Iterable[str],
        limits: Limits,
        hold: Hold,
        base: cgroups.Base | None,
        mask: Mask = NOTHING,
    ):
        self._way, self._limits, self._hold, self._base, self._mask = way, limits, hold, base, mask
        self._layout = layout.make(tools, way.uid, way.network)
        self._held = layout.hold(self._layout.folder)
        self._watch = ResourceMonitor(self._layout.folder, limits, counts_memory=base is None)
        self._deadline = time.monotonic() + limits.seconds
        self._tail = bytearray()
        self._printed = 0

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        layout.remove(self._layout.folder)
        os.close(self._held)

    @property
    def folder(self) -> Path:
        """The build's folder on this machine. Its content is untrusted: follow no link in it."""
        return Path(self._layout.folder)

    def inside(self, name: str) -> str:
        """Return the path inside of one of the build's folders (work, home, git-home, tmp) or of a path below one."""
        if self._way.means == commands.OFF:
            return f"{self._layout.folder}/{name}"
        top, _, rest = name.partition("/")
        place = {"work": layout.BUILD, "tmp": "/tmp"}.get(top, layout.HOME)  # noqa: S108 - inside
        return f"{place}/{rest}" if rest else place

    def home(self, name: str) -> Mount:
        return Mount(f"{self._layout.folder}/{name}", layout.HOME, True)

    def execute(self, command: Command) -> None:
        """Run the command to its end. Raise CommandFailed, BuildRefused, BuildTimedOut, or what the hold raises."""
        group = self._group()
        try:
            with Guardian(self._hold), self._hold.ending(self._end_marked):
                self._started(command, group)
        finally:
            if group is not None:
                group.remove()

    def _started(self, command: Command, group: cgroups.Group | None) -> None:
        self._watch.step = command.step
        process = self._start(command, group)
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            reason = self._wait(process, command.step, group)
        finally:
            self._end(process)
            reader.join(5)
        self._hold.report(self.text())  # the reader has all of it now; a build that was ended for its lease ends here
        reason = reason or self._starved(group) or self._watch.disk()  # exceeded after the last check
        if reason := reason or self._flooded(command.step):
            raise BuildRefused(reason)
        if process.returncode:
            text = self.text()
            at_limit = self._limits.processes if any(sign in text for sign in _NO_FORK) else None
            raise CommandFailed(command.step, process.returncode, last_line(text), at_limit)

    def _start(self, command: Command, group: cgroups.Group | None) -> subprocess.Popen:
        way = commands.Isolation(
            self._way.means, command.network and self._way.network, self._way.root, self._way.user_namespace
        )
        seen = self._layout.with_mounts(command.mounts)
        if way.root:
            _stage(seen)
        bounds = Bounds(
            os.getpid(),
            self._limits.file_size,
            self._limits.processes,
            _kernel(),
            group.folders if group else (),
            own_addresses() if way.network else (),
        )
        words = commands.chain(way, seen, bounds, command.words, self._hold.mark)
        environment = {"PATH": commands.PATH, "LANG": "C.UTF-8"}
        if way.means == commands.OFF:
            environment[MARK] = self._hold.mark
        with _file_of(commands.start_text(command.environment, command.cwd)) as start:
            return subprocess.Popen(
                words,
                cwd="/",
                env=environment,
                umask=0o022,
                stdin=start,
                stdout=command.output or subprocess.PIPE,
                stderr=subprocess.PIPE if command.output else subprocess.STDOUT,
                start_new_session=True,
            )

    def _starved(self, group: cgroups.Group | None) -> Message | None:
        """Return a message if the kernel killed a process for lack of memory: the command may not have noticed."""
        return self._watch.over_memory() if group is not None and group.ended_by_memory() else None

    def _flooded(self, step: Message) -> Message | None:
        limit = self._limits.output
        return Message("build_limit.output", {"step": step, "max": limit}) if self._printed > limit else None

    def _wait(self, process: subprocess.Popen[bytes], step: Message, group: cgroups.Group | None) -> Message | None:
        """Wait until the command has ended or must end. Return why it must."""
        reported = 0.0
        while not _has_ended(process):
            if time.monotonic() > self._deadline:
                raise BuildTimedOut("build_timeout.step", step=step, seconds=round(self._limits.seconds))
            if reason := self._flooded(step) or self._starved(group) or self._watch.look(process.pid):
                return reason
            if time.monotonic() - reported > 1:
                reported = time.monotonic()
                self._hold.report(self.text())
            time.sleep(WAIT_INTERVAL)
        return None

    def _end(self, process: subprocess.Popen) -> None:
        """End every process. A PID namespace ends with its first; builds without one are killed by process id."""
        if not _has_ended(process):
            processes.end(one.pid for one in reversed(processes.below(process.pid)))
        # Until it is reaped, no other group can have its id. A pasta that found no network leaves a child here.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if self._way.means == commands.OFF:
            self._end_marked()

    def _end_marked(self) -> None:
        processes.end_marked(self._hold.mark)

    def _group(self) -> cgroups.Group | None:
        if self._base is None:
            return None
        try:
            return cgroups.make(self._base, self._limits.memory, self._limits.processes)
        except OSError as error:
            raise BuildRefused("build_limit.unavailable", words=error.strerror or "") from error

    def _read(self, process: subprocess.Popen) -> None:
        pipe = process.stderr or process.stdout
        assert pipe is not None
        stream = Stream(self._mask)
        with pipe:
            while piece := os.read(pipe.fileno(), 65536):
                self._printed += len(piece)
                self._keep(stream.feed(piece))
            self._keep(stream.flush())

    def _keep(self, piece: bytes) -> None:
        self._tail += piece
        del self._tail[:-MAX_TAIL_BYTES]

    def text(self) -> str:
        text = bytes(self._tail).decode("utf-8", "replace").replace("\0", "�")
        return text.replace(_NOISE, "")


def _has_ended(process: subprocess.Popen) -> bool:
    return (
        process.returncode is not None
        or os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    )


def own_addresses(proc: Path = Path("/proc/net")) -> tuple[str, ...]:
    """Return every address of this machine except loopback."""
    addresses = set()
    try:
        lines = (proc / "fib_trie").read_text().splitlines()
        addresses = {before.split()[-1] for before, line in itertools.pairwise(lines) if "/32 host LOCAL" in line}
    except OSError:  # no IPv4
        pass
    try:
        words = [line.split()[0] for line in (proc / "if_inet6").read_text().splitlines()]
        addresses |= {str(ipaddress.IPv6Address(int(word, 16))) for word in words}
    except OSError:  # no IPv6
        pass
    return tuple(sorted(address for address in addresses if not ipaddress.ip_address(address).is_loopback))


def last_line(text: str) -> str:
    """Return the last nonblank line, printable and without the userinfo of URLs; "" if there is none."""
    line = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    words = [word if "@" not in word or "//" not in word else _without_user(word) for word in line[:4000].split(" ")]
    return "".join(character if character.isprintable() else " " for character in " ".join(words))[:200]


def _without_user(word: str) -> str:
    before, _, rest = word.partition("//")
    place, slash, path = rest.partition("/")
    return f"{before}//{place.rpartition('@')[2]}{slash}{path}"


def _file_of(text: str) -> IO[bytes]:
    """Return the text as a file in memory: it may hold secrets, and writing it never blocks."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("start"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(text.encode())
    file.seek(0)
    return file


def _stage(seen: Layout) -> None:
    for source, place in commands.places_to_stage(seen):
        if Path(source).is_dir():
            Path(place).mkdir(exist_ok=True)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))


def _kernel() -> tuple[int, int]:
    numbers = os.uname().release.split(".")
    return int(numbers[0]), int("".join(character for character in numbers[1] if character.isdigit()) or 0)
