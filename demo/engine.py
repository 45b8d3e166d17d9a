"""The demo's own Docker engine and registry: in its data folder, on loopback, ended with it. Only root can start one.

Containers have no network of their own, so that nothing of the machine's network is changed.
"""

import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .network import choose_port, usable
from .openssh import write_private
from .supervise import Part, below

ADMIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = ("dockerd", "docker", "containerd", "docker-registry")
LONGEST = 107  # bytes of a unix socket's path; the engine's longest below our folder is the next line's
DEEPEST = "exec/containerd/containerd-debug.sock"
PLAIN = ("--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")


@dataclass(frozen=True)
class Engine:
    """`folder` holds everything of the engine and the registry."""

    folder: Path
    port: int
    user: str
    password: str

    @property
    def registry(self) -> str:
        """The registry's name in references."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"unix://{self.folder / 's'}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": ADMIN_PATH,
            "HOME": str(self.folder),
            "DOCKER_HOST": self.url,
            "DOCKER_CONFIG": str(self.folder),
        }

    def parts(self, log: Path) -> list[Part]:
        """Return the two processes, in starting order."""
        engine = [
            *("dockerd", "--config-file", str(self.folder / "engine.json"), "--host", self.url),
            *("--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec")),
            *("--pidfile", str(self.folder / "pid"), "--shutdown-timeout", "2", *PLAIN),
        ]
        registry = ["docker-registry", "serve", str(self.folder / "registry.json")]
        plain = {"PATH": ADMIN_PATH, "HOME": str(self.folder), "OTEL_TRACES_EXPORTER": "none"}
        return [
            Part("registry", registry, plain, log.with_name("registry.log"), self.folder),
            Part("engine", engine, plain, log.with_name("engine.log"), self.folder, self._forget_pid),
        ]

    def _forget_pid(self) -> None:
        for name in ("pid", "exec/containerd/containerd.pid"):  # another process may have the number by now
            (self.folder / name).unlink(missing_ok=True)

    def prepare(self) -> None:
        """Write the files of both, and the sign-in of the demo's own `docker push`."""
        (self.folder / "engine.json").write_text("{}")  # not the machine's own
        if not (self.folder / "htpasswd").exists():
            write_private(self.folder / "htpasswd", f"{self.user}:{_hashed(self.password)}\n")
        settings = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "images")}, "delete": {"enabled": True}},
            "http": {"addr": self.registry},
            "auth": {"htpasswd": {"realm": "demo", "path": str(self.folder / "htpasswd")}},
        }
        write_private(self.folder / "registry.json", json.dumps(settings))  # JSON is YAML
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        write_private(self.folder / "config.json", json.dumps({"auths": {self.registry: {"auth": login}}}))
        (self.folder / "port").write_text(str(self.port))


def choose(var: Path, user: str) -> Engine | str:
    """Return the engine, with its registry at its last port; or one line that says why there is none."""
    folder = var / "docker"
    if os.environ.get("DEMO_IMAGES") == "off":
        return "DEMO_IMAGES=off"
    if os.geteuid() != 0:
        return "only root can start a Docker engine"
    if missing := [name for name in PROGRAMS if shutil.which(name, path=ADMIN_PATH) is None]:
        return f"this machine has no {', '.join(missing)} (packages docker.io and docker-registry)"
    if len(os.fsencode(folder / DEEPEST)) > LONGEST:
        return f"the path of {folder} is too long for an engine's sockets"
    last = _number(folder / "port")
    if last and not usable("127.0.0.1", last):
        return f"port {last}, which is in the names of its images, is in use"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "password").exists():
        write_private(folder / "password", secrets.token_urlsafe(16))
    return Engine(folder, last or choose_port("127.0.0.1"), user, (folder / "password").read_text())


def clear(var: Path) -> None:
    """End what an engine left behind, by process id, and undo its mounts. Its data stays."""
    folder = f"{(var / 'docker').resolve()}/"
    if not Path(folder).is_dir():
        return
    deadline = time.monotonic() + 5
    while (left := _processes(folder)) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in reversed([path for path in mounted if path.startswith(folder)]):
        subprocess.run(["umount", "-l", place], capture_output=True)
    shutil.rmtree(Path(folder) / "exec", ignore_errors=True)


def _processes(folder: str) -> list[int]:
    """Return the processes whose command line names the folder, and what runs below them."""
    own = []
    for name in os.listdir("/proc"):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes() if name.isdigit() else b""
        except OSError:
            continue
        program = words.split(b"\0", 1)[0].rpartition(b"/")[2]
        if os.fsencode(folder) in words and program in (b"dockerd", b"containerd", b"containerd-shim-runc-v2"):
            own.append(int(name))
    return [pid for pid in dict.fromkeys([*own, *(child for pid in own for child in below(pid))]) if pid != os.getpid()]


def _hashed(password: str) -> str:
    """Return a password as the registry stores it."""
    from django.contrib.auth.hashers import BCryptPasswordHasher  # slow to load

    hasher = BCryptPasswordHasher()
    hasher.rounds = 4  # a random password, for a loopback address
    return hasher.encode(password, hasher.salt()).partition("$")[2]


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
