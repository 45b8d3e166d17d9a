"""A host without SSH: a temporary folder, and the program fed to a shell the way sshd would."""

import gzip
import hashlib
import io
import os
import signal
import subprocess
import tarfile
import threading
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from deployer.engine import program
from deployer.engine.atom import ServiceSpec, Target
from deployer.engine.journal import JournalEvent, JournalReader, Kind, OutputReader
from deployer.engine.plans import plan
from deployer.engine.program import Run
from tests.lab.busy import within

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
# For parameters: the short run takes dash, the strictest.
EVERY_SHELL = [pytest.param(shell, marks=[pytest.mark.slow] if shell != "dash" else []) for shell in SHELLS]
_numbers = count(1)


def package(version: str, size: int = 2000, **files: str) -> bytes:
    """Return a .tar.gz that holds `version`, some noise, and `files`."""
    return package_of({"version": version, "noise": os.urandom(size).hex(), **files})


def package_of(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mode = len(content.encode()), 0o755
            tar.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


class Call:
    """One running program: its process, and its answers. `over()` waits for its end."""

    def __init__(self, process: subprocess.Popen, nonce: str, deaf: bool = False, unread: bool = False):
        self.process, self.events, self.output = process, [], b""
        self._reader, self._shown = JournalReader(nonce), OutputReader(nonce)
        if deaf:
            process.stdout.close()
            process.stderr.close()
        ears = () if deaf or unread else (self._hear, self._see)
        self._threads = [threading.Thread(target=each, daemon=True) for each in ears]
        for thread in self._threads:
            thread.start()

    def _hear(self) -> None:
        while data := os.read(self.process.stderr.fileno(), 65536):
            self.events += self._reader.feed(data)

    def _see(self) -> None:
        while data := os.read(self.process.stdout.fileno(), 65536):
            self.output += self._shown.feed(data)

    def over(self, seconds: float = 20) -> "Call":
        self.process.wait(within(seconds))
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "something still holds the channel"
        return self

    def until(self, kind: Kind, step: str = "", seconds: float = 10) -> JournalEvent:
        deadline = time.monotonic() + within(seconds)
        while time.monotonic() < deadline:
            for event in self.events:
                if event.kind is kind and event.step == step:
                    return event
            time.sleep(0.005)
        raise AssertionError(f"no {kind} {step} in {self.said}")

    @property
    def noise(self) -> str:
        return self._reader.noise.decode()

    @property
    def about(self) -> str:
        """What the program names with its answer."""
        return self._reader.about

    @property
    def answer(self) -> int:
        return self.process.returncode

    @property
    def said(self) -> list[str]:
        return [f"{event.kind} {event.step}".strip() for event in self.events]

    @property
    def end(self) -> JournalEvent:
        assert self.events and self.events[-1].kind is Kind.END, (self.answer, self.said, self.noise, self.output)
        return self.events[-1]

    def kill(self) -> None:
        """SIGKILL to the runner alone."""
        os.kill(self.process.pid, signal.SIGKILL)


class Host:
    """A folder that stands for a host, with a service whose commands write what they do to `log`."""

    def __init__(self, root: Path, shell: str = "dash"):
        self.root, self.shell = root, SHELLS[shell]
        self.base = root / "base"
        self.folder = self.base / "shop"
        self.log = root / "log"
        self.packages: dict[str, bytes] = {}
        self.images: dict[str, str] = {}  # of versions that are images
        self.instance = 7
        self.fence = 0
        self.port = 8080  # of the service
        self.user: str | None = None  # the user that logs in; None: the user that runs the tests
        self.groups: list[int] = []  # of that user, besides the own
        self._sessions: list[int] = []
        self.tools = root / "bin"
        self.tools.mkdir(parents=True)
        (self.tools / "sh").symlink_to("/usr/bin/" + self.shell[0])

    def spec(self, **changes) -> ServiceSpec:
        say = "printf '%s %s\\n' \"$VERSION\""
        base = {
            "name": "shop",
            "start": f'{say} start >>{self.log}; cat "$RELEASE/version" >{self.root}/running',
            "stop": f"{say} stop >>{self.log}; rm {self.root}/running",
            "check": f'{say} check >>{self.log}; cmp "$RELEASE/version" {self.root}/running',
            "check_timeout": 2,
        }
        return ServiceSpec(**{**base, **changes})

    def run(
        self,
        action: str,
        old: str | None,
        new: str | None,
        *,
        adopt: bool = False,
        operation: int = 0,
        sign_in: str = "",
        **spec,
    ) -> Run:
        data = self.package(new) if new else b""
        target = Target("host-1", "127.0.0.1", str(self.base), self.port, "blue", 50, self.instance)
        atom = plan(
            self.spec(**spec),
            target,
            action,
            old,
            new,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            adopt=adopt,
            old_image=self.images.get(old or "", ""),
            new_image=self.images.get(new or "", ""),
        )
        self.fence += 1
        return Run(operation or next(_numbers), self.fence, atom, f"n{self.fence}", sign_in=sign_in)

    def image(self, version: str, reference: str) -> None:
        """Make the version an image, which its package names."""
        self.images[version] = reference
        self.packages[version] = package_of({"image": f"{reference}\n"})

    def package(self, version: str) -> bytes:
        return self.packages.setdefault(version, package(version))

    def send(
        self,
        text: bytes,
        nonce: str,
        data: bytes | None = b"",
        *,
        close: bool = True,
        deaf: bool = False,
        unread: bool = False,
        session: bool = True,
        **options,
    ) -> Call:
        """Feed a program and `data` to the shell. `close`: input ends then; `deaf`: the channel is cut;
        `unread`: it is open, and is not read; `session`: the shell leads a session, as under sshd.
        """
        argv = ["/usr/bin/" + self.shell[0], *self.shell[1:], "-c", program.command(len(text), sudo=False)]
        environment = {**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}", **options}
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=session,
            env=environment,
            cwd="/",
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else self.groups,
        )
        self._sessions.append(process.pid)
        call = Call(process, nonce, deaf, unread)

        def feed() -> None:
            try:
                process.stdin.write(text + data)
                process.stdin.flush()
                if close:
                    process.stdin.close()
            except BrokenPipeError:
                pass

        threading.Thread(target=feed, daemon=True).start()
        return call

    def start(self, run: Run, data: bytes | None = None, **options) -> Call:
        if data is None:
            data = self.packages.get(run.atom.new, b"") if run.atom.needs_package else b""
        return self.send(program.start(run), run.nonce, program.sign_in(run) + data, **options)

    def attach(
        self, run: Run, journal_from: int = 0, output_from: int = 0, cancel: bool = False, raised: int = 1
    ) -> Call:
        self.fence += raised
        again = Run(run.operation, self.fence, run.atom, f"n{self.fence}x")
        return self.send(program.attach(again, journal_from, output_from, cancel), again.nonce)

    def carry_out(self, *args, **spec) -> Call:
        return self.start(self.run(*args, **spec)).over()

    @property
    def logged(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    @property
    def running(self) -> str:
        path = self.root / "running"
        return path.read_text() if path.exists() else ""

    @property
    def current(self) -> str:
        link = self.folder / "current"
        return os.readlink(link) if link.is_symlink() else ""

    def tree(self, *left_out: str) -> dict[str, tuple]:
        """Every path of the service with its kind and content, without .deployer and the releases named."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if name.startswith(".deployer") or any(name.startswith(f"releases/{each}") for each in left_out):
                continue
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[name] = (path.lstat().st_mode, content)
        return found

    def end(self) -> None:
        """End what its runs left in their sessions, or outside with their marker."""
        left = [each for session in self._sessions for each in self.processes(session)]
        left += [each for marker in self.folder.glob(".deployer/runs/*/alive") for each in self.holders(marker)]
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @staticmethod
    def holders(marker: Path) -> list[int]:
        """Who holds the marker of a run."""
        found = []
        for each in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):  # it may end while it is looked at
                if os.path.samefile(f"/proc/{each}/fd/9", marker):
                    found.append(int(each))
        return found

    def processes(self, pid: int) -> list[int]:
        """Who lives in the session `pid`."""
        return [each for each in map(int, filter(str.isdigit, os.listdir("/proc"))) if _session(each) == pid]


def _session(pid: int) -> int:
    try:
        state, _, _, session = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[:4]
    except OSError:
        return 0
    return 0 if state == "Z" else int(session)
