"""A real Docker engine for a test: its own folder, sockets and certificates, ended by its process id. Needs root.

Without `bridge` its containers have no network but none and the host's; with it the engine has a network namespace of
its own, as on a machine where nothing was changed.
"""

import contextlib
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from . import base_image, processes
from .authority import Authority
from .network import free_port, wait_until

PLAIN = ("--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")
WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")  # it ends also where the test run is killed
_random = random.SystemRandom()


@lru_cache(maxsize=1)
def why_not() -> str:
    """Why no engine can be started here; "" where one can."""
    if os.geteuid() != 0:
        return "only root can start a Docker engine"
    missing = [name for name in ("dockerd", "containerd", "nsenter", "setpriv", "ip") if shutil.which(name) is None]
    return f"this machine has no {', '.join(missing)}" if missing else ""


class Dockerd:
    """`with Dockerd(folder) as engine:` — `engine.socket_url` and `engine.url` are its addresses.

    `engine.url` is TLS with `engine.ca`, `engine.client` (certificate and key) unless `tls=False`. With `bridge`,
    `engine.here` is this machine as the engine sees it (where a registry for it has to listen), and `engine.address`
    the engine.
    """

    def __init__(self, folder: Path, *more: str, tls: bool = True, bridge: bool = False):
        self.folder, self.tls = Path(folder), tls
        self._more, self._net = more, Namespace() if bridge else None
        self.here = self._net.here if self._net else "127.0.0.1"
        self.address = self._net.there if self._net else "127.0.0.1"
        self.port = free_port()
        self.socket = self.folder / "s"
        self.socket_url, self.url = f"unix://{self.socket}", f"tcp://{self.address}:{self.port}"
        self.authority = Authority()
        self.ca, self.client = self.authority.pem, self.authority.issue("deployer")
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Dockerd":
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "ca.pem").write_text(self.ca)
        certificate, key = self.authority.issue("engine", self.address, "localhost")
        (self.folder / "server.pem").write_text(certificate)
        (self.folder / "server-key.pem").write_text(key)
        (self.folder / "config.json").write_text("{}")  # not the machine's own
        try:
            if self._net:
                self._net.make()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stop()
        if self._net:
            self._net.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, or start it again over what it left; return when it answers."""
        for left in ("pid", "exec/containerd/containerd.pid"):  # a killed one's; its number may be another's by now
            (self.folder / left).unlink(missing_ok=True)
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [*WITH_US, *(self._net.inside() if self._net else ()), *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, 30, "the engine's first answer")

    def stop(self) -> None:
        """End it with its containers and mounts; what it stored stays for another start."""
        below = self._processes()
        if self.process:
            for pid in self._contained():  # it would wait ten seconds for each that takes no notice of TERM
                processes.kill(pid)
            processes.end(self.process)
            self.process = None
        self._clear(below)

    def kill(self) -> None:
        """Kill it as a crash would: its shims and what they run live on until `stop`."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def _clear(self, below: list[int]) -> None:
        for pid in dict.fromkeys([*below, *self._processes()]):
            processes.kill(pid)
        processes.end_using(self.folder)
        inside = f"{self.folder.resolve()}/"
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for place in reversed([each for each in mounts if each.startswith(inside)]):
            subprocess.run(["umount", "-l", place], capture_output=True)
        shutil.rmtree(self.folder / "exec", ignore_errors=True)

    def _processes(self) -> list[int]:
        """Its processes, its shims, and what these run."""
        own = processes.using(self.folder)
        return [*own, *(pid for parent in own for pid in processes.descendants(parent))]

    def _contained(self) -> list[int]:
        shims = [pid for pid in processes.using(self.folder) if "containerd-shim" in processes.command_line(pid)]
        return [pid for shim in shims for pid in processes.descendants(shim)]

    def _command(self) -> list[str]:
        words = [
            "dockerd",
            "--config-file",
            "config.json",
            "--data-root",
            "data",
            "--exec-root",
            "exec",
            "--pidfile",
            "pid",
        ]
        words = [str(self.folder / word) if at and not word.startswith("--") else word for at, word in enumerate(words)]
        words += ["--host", self.socket_url, "--host", self.url, "--storage-driver", storage_driver(self.folder)]
        words += ["--insecure-registry", f"{self.here}/32"]
        if self.tls:
            files = {"tlscacert": "ca.pem", "tlscert": "server.pem", "tlskey": "server-key.pem"}
            words += ["--tlsverify", *(f"--{option}={self.folder / name}" for option, name in files.items())]
        else:
            words += ["--tls=false"]
        return [*words, *(() if self._net else PLAIN), *self._more]

    def _answers(self) -> bool:
        assert self.process
        if self.process.poll() is not None:
            raise RuntimeError("the engine ended: " + (self.folder / "log").read_text()[-2000:])
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("GET", "/_ping")[0] == 200
        return False

    # --- what tests ask of it, beside the product ---------------------------------------------------------------------

    def ask(self, method: str, path: str, body=None, **headers: str) -> tuple[int, bytes]:
        """Return (status, body) of one request over its unix socket. A dict is sent as JSON."""
        connection = _OverSocket(str(self.socket))
        try:
            if isinstance(body, dict):
                body, headers = json.dumps(body), {"Content-Type": "application/json", **headers}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def asked(self, method: str, path: str, body=None):
        """Return the JSON of an answer that must be a success."""
        status, answer = self.ask(method, path, body)
        assert status < 300, answer
        return json.loads(answer or b"null")

    def add_base(self, name: str = "base:1", files: dict[str, str] | None = None) -> str:
        """Make an image of a static busybox alone, with `files` (path: text) beside it; return its id."""
        repository, _, tag = name.rpartition(":")
        query = f"fromSrc=-&repo={quote(repository, '')}&tag={quote(tag)}"
        for line in base_image.CHANGES:
            query += f"&changes={quote(line)}"
        status, answer = self.ask("POST", f"/images/create?{query}", base_image.archive(files))
        assert status == 200, answer
        return json.loads(answer.splitlines()[-1])["status"]

    def containers(self) -> list[dict]:
        return self.asked("GET", "/containers/json?all=1")

    def command_line(self, *words: str, **options) -> subprocess.CompletedProcess:
        """Run `docker WORDS` against it, with no configuration of the machine's user."""
        command = ["docker", "--host", self.socket_url, *words]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DOCKER_CONFIG": str(self.folder / "cli")}
        environment |= {"DOCKER_BUILDKIT": "0"}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, **options)


class Namespace:
    """A network namespace with one cable to this machine's network."""

    def __init__(self) -> None:
        tag = f"{_random.randint(0, 1 << 24):06x}"
        self.name, self._ends = f"dock{tag}", (f"d{tag}a", f"d{tag}b")
        net = f"10.{_random.randint(128, 250)}.{_random.randint(0, 255)}.{4 * _random.randint(0, 60)}"
        head, _, last = net.rpartition(".")
        self.here, self.there = f"{head}.{int(last) + 1}", f"{head}.{int(last) + 2}"

    def make(self) -> None:
        here, there = self._ends
        _ip("netns", "add", self.name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self.name)
        _ip("addr", "add", f"{self.here}/30", "dev", here)
        _ip("link", "set", here, "up")
        for words in (("addr", "add", f"{self.there}/30", "dev", there), ("link", "set", there, "up")):
            _ip("-n", self.name, *words)
        _ip("-n", self.name, "link", "set", "lo", "up")
        _ip("-n", self.name, "route", "add", "default", "via", self.here)

    def inside(self) -> list[str]:
        """Return the words that run a command in it (`ip netns exec` hides the cgroups that an engine needs)."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--"]

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
        subprocess.run(["ip", "link", "del", self._ends[0]], capture_output=True)


@lru_cache(maxsize=8)
def storage_driver(folder: Path) -> str:
    """Return overlay2, or vfs where the folder's file system cannot carry an overlay (a container's own, say)."""
    tried = folder / "overlay"
    parts = {name: tried / name for name in ("lower", "upper", "work", "merged")}
    for part in parts.values():
        part.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
    made = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, parts["merged"]], capture_output=True)
    if made.returncode == 0:
        subprocess.run(["umount", parts["merged"]], check=True)
    shutil.rmtree(tried)
    return "vfs" if made.returncode else "overlay2"


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: str):
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
