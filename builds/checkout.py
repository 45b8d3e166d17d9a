"""A build from a git repository, on the worker's own machine: clone, run the command, pack what it leaves.

Everything happens in one fresh folder that is gone afterwards, under limits on time, memory, file size and output,
with none of the worker's own environment. The command is the service administrator's own shell text. It runs as the
worker's user: who may set a build command is trusted with that.
"""
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from access.masking import Mask, Stream

from . import credentials
from .origin import Job, Refused, Silent

TAIL = 64 * 1024  # bytes of output that are kept
LONGEST_ASK = 30  # seconds that a repository has to answer before anything is fetched
TICK = 0.2
_COMMIT = re.compile(r"[0-9a-f]{40,64}\Z")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@-]*\Z")


class TimedOut(Exception):
    """The build took longer than it may."""


class Given(Exception):
    """Somebody else looks after the build now: whatever this one does has no meaning any more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes."""

    seconds: float = 1800
    memory: int = 4 * 1024**3
    file_size: int = 4 * 1024**3
    output: int = 64 * 1024**2


@dataclass(frozen=True)
class Git:
    """`protocols`: those that git may speak (https, ssh; file only where a setting admits it). `proxies`: as variables
    of the environment; without them, those of this process."""

    protocols: tuple[str, ...]
    limits: Limits = Limits()
    proxies: tuple[tuple[str, str], ...] = ()

    def commit(self, job: Job) -> str:
        """The commit that the ref stands at. Raises Refused where there is no such ref, Silent without an answer."""
        self.check(job)
        if _COMMIT.match(job.ref):
            return job.ref
        names = [f"refs/heads/{job.ref}", f"refs/tags/{job.ref}^{{}}", f"refs/tags/{job.ref}"]
        with tempfile.TemporaryDirectory(prefix="deployer-ask-") as folder:
            try:
                with credentials.lent(job.credential, job.url, Path(folder), self._git(folder)) as environment:
                    done = subprocess.run(["git", "ls-remote", "--", job.url, *names], cwd=folder, env=environment,
                                          stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST_ASK)
            except subprocess.TimeoutExpired as error:
                raise Silent("The repository does not answer") from error
        if done.returncode:
            raise Silent(job.mask().text(f"The repository cannot be read: {_last_line(done.stderr)}"))
        lines = [line.partition("\t") for line in done.stdout.decode().splitlines()]
        known = {name: commit for commit, _, name in lines}
        for name in names:
            if name in known and _COMMIT.match(known[name]):
                return known[name]
        raise Refused(f"The repository has no branch or tag {job.ref}")

    def check(self, job: Job) -> None:
        """Raises Refused for what must never reach git."""
        scheme = job.url.partition("://")[0] if "://" in job.url else "file" if job.url.startswith("/") else "ssh"
        if scheme not in self.protocols or job.url.startswith("-") or any(ord(one) < 33 for one in job.url):
            raise Refused(f"The build_url must be one of: {', '.join(self.protocols)}")
        if not _REF.match(job.ref) or ".." in job.ref or job.ref.endswith((".lock", "/")):
            raise Refused("The ref is no branch, tag or commit")

    @contextmanager
    def built(self, job: Job, commit: str, tell: Callable[[str], None]) -> Iterator[Path]:
        """The package as a file, while the context lasts. `tell` gets the output's end now and then, and may raise.

        Raises Refused (the build failed, and why), TimedOut, Silent, and whatever `tell` raises.
        """
        folder = Path(tempfile.mkdtemp(prefix="deployer-build-"))
        mark = uuid.uuid4().hex
        try:
            source, out, package = folder / "source", folder / "out", folder / "package.tar.gz"
            source.mkdir()
            out.mkdir()
            run = _Run(folder, mark, self.limits, tell, job.mask())
            run.go(["git", "init", "-q", "."], source, self._git(str(folder)), "git init")
            self._fetch(run, job, commit, source)
            variables = {**{name: secret.reveal() for name, secret in job.secrets.items()}, **job.variables(),
                         "VERSION": job.version, "REF": job.ref, "COMMIT": commit, "OUT": str(out)}
            run.go(["/bin/sh", "-c", job.command], source, _clean(str(folder)) | variables, "the build command")
            _pack(out if any(out.iterdir()) else source, package)
            yield package
        finally:
            _end_all(mark)
            shutil.rmtree(folder, ignore_errors=True)

    def _fetch(self, run: "_Run", job: Job, commit: str, source: Path) -> None:
        environment = self._git(str(source.parent))
        with credentials.lent(job.credential, job.url, source.parent, environment) as lent:
            run.go(["git", "fetch", "-q", "--depth", "1", "--no-tags", "--", job.url, commit], source, lent,
                   "git fetch")
        run.go(["git", "checkout", "-q", "--detach", commit], source, environment, "git checkout")

    def _git(self, home: str) -> dict[str, str]:
        """git asks nobody for a password, reads nobody's configuration, and speaks the allowed protocols only."""
        ours = ("SSH_AUTH_SOCK", "GIT_SSH_COMMAND", *(() if self.proxies else ("https_proxy", "no_proxy")))
        more = {name: os.environ[name] for name in ours if name in os.environ}
        return _clean(home) | more | dict(self.proxies) | {
            "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ALLOW_PROTOCOL": ":".join(self.protocols), "GIT_ASKPASS": "/bin/false", "SSH_ASKPASS": "/bin/false",
            # A repository that another user owns may be read: nothing in it is run by reading it.
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }


class _Run:
    """Runs the build's commands one after the other, under limits that they share."""

    def __init__(self, folder: Path, mark: str, limits: Limits, tell: Callable[[str], None], mask: Mask):
        self._mark, self._limits, self._tell, self._mask = mark, limits, tell, mask
        self._deadline = time.monotonic() + limits.seconds
        self._tail = bytearray()
        self._printed = 0

    def go(self, command: list[str], cwd: Path, environment: dict[str, str], what: str) -> None:
        limited = f"ulimit -v {self._limits.memory // 1024} && ulimit -f {self._limits.file_size // 512} && exec \"$@\""
        process = subprocess.Popen(
            ["/bin/sh", "-c", limited, "sh", *command], cwd=cwd, env={**environment, "DEPLOYER_BUILD": self._mark},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            self._wait(process, what)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _end_all(self._mark)  # what it left running holds the pipe open
            reader.join(5)
        self._tell(self.text())  # now that the reader has all of it
        if self._printed > self._limits.output:
            raise Refused(f"{what} printed more than {self._limits.output} bytes")
        if process.returncode:
            raise Refused(f"{what} failed with exit status {process.returncode}: {_last_line(bytes(self._tail))}")

    def _wait(self, process: subprocess.Popen, what: str) -> None:
        told = 0.0
        while process.poll() is None:
            if time.monotonic() > self._deadline:
                raise TimedOut(f"{what} took longer than {self._limits.seconds:.0f} s")
            if self._printed > self._limits.output:
                return
            if time.monotonic() - told > 1:
                told = time.monotonic()
                self._tell(self.text())
            try:
                process.wait(TICK)
            except subprocess.TimeoutExpired:
                continue

    def _read(self, process: subprocess.Popen) -> None:
        assert process.stdout is not None
        stream = Stream(self._mask)  # before the tail is cut off, or half a secret could begin it
        with process.stdout as pipe:
            while piece := os.read(pipe.fileno(), 65536):
                self._printed += len(piece)
                self._keep(stream.feed(piece))
        self._keep(stream.flush())

    def _keep(self, piece: bytes) -> None:
        self._tail += piece
        del self._tail[:-TAIL]

    def text(self) -> str:
        return bytes(self._tail).decode("utf-8", "replace").replace("\0", "�")


def _clean(home: str) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "LANG": "C.UTF-8", "TMPDIR": home}


def _pack(folder: Path, package: Path) -> None:
    """The folder's content, in an order that does not depend on the disk, without git's own."""
    with tarfile.open(package, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.iterdir()):
            if path.name != ".git":
                archive.add(path, path.name, filter=_nobodys)


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _end_all(mark: str) -> None:
    """Kills what carries this build's mark in its environment, wherever it has gone to: its own session, say."""
    wanted = f"DEPLOYER_BUILD={mark}".encode()
    for _ in range(5):
        found = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit() and _carries(one, wanted)]
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue


def _carries(process: Path, wanted: bytes) -> bool:
    try:
        return wanted in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _last_line(raw: bytes) -> str:
    lines = [line for line in raw.decode("utf-8", "replace").splitlines() if line.strip()]
    text = re.sub(r"//[^/@\s]*@", "//", lines[-1]) if lines else "it printed nothing"  # no password of an address
    return "".join(one if one.isprintable() else " " for one in text)[:200]
