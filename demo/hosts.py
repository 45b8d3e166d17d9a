"""The demo's hosts: SSH servers on loopback addresses, each with its own folder and key. Without root."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from . import openssh
from .network import choose_address, choose_port
from .service import definition
from .supervise import Part

NAMES = ("web-fra-1", "web-fra-2", "web-iad-1", "web-iad-2")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Host:
    """One host. `root` is its base path; `folder` holds what its SSH server needs."""

    name: str
    folder: Path
    ip: str
    port: int

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def key(self) -> str:
        return openssh.make_key(self.folder / "host_key")


def choose(var: Path, last: list[dict]) -> list[Host]:
    """Return the hosts, at their last addresses and ports if those are free."""
    ports = {entry.get("hostname"): (entry.get("ip"), entry.get("port")) for entry in last}
    hosts = []
    for number, name in enumerate(NAMES, 1):
        ip = choose_address(number)
        last_ip, last_port = ports.get(name, (None, 0))
        port = choose_port(ip, last_port if last_ip == ip and isinstance(last_port, int) else 0)
        hosts.append(Host(name, var / "hosts" / name, ip, port))
        hosts[-1].root.mkdir(parents=True, exist_ok=True)
        (var / "hosts" / name / "address").write_text(ip + "\n")
    return hosts


def part(host: Host, authorized: str, log: Path) -> Part:
    """Return the process of a host's SSH server: OpenSSH if installed, else the small one in sshserver.py."""
    plain = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    if openssh.find_sshd() and os.environ.get("DEMO_SSH") != "paramiko":
        command = openssh.prepare(host.folder, host.ip, host.port, authorized)
    else:
        assert host.key  # created now, so that it can be pinned before the server runs
        (host.folder / "authorized_keys").write_text(authorized + "\n")
        command = [sys.executable, "-m", "demo.sshserver", str(host.folder), host.ip, str(host.port)]
    return Part(host.name, command, plain, log, ROOT)


def boot(host: Host) -> list[tuple[list[str], dict[str, str]]]:
    """Return commands, each with its environment, that restart the services that ran when the demo was ended, as a
    machine's own init does.
    """
    commands = []
    for current in host.root.glob("*/current"):
        shared = current.parent / "shared"
        port = _read(shared / "app.port")
        if port and not running(shared):
            release = current.parent / os.readlink(current)
            environment = {
                "PATH": os.environ.get("PATH", os.defpath),
                "PYTHON": sys.executable,
                "SERVICE": current.parent.name,
                "VERSION": release.name,
                "RELEASE": str(release),
                "SHARED": str(shared),
                "PORT": port,
            }
            commands.append((["sh", "-c", definition.START], environment))
    return commands


def shut_down(host: Host, seconds: float = 3) -> None:
    """End the host's services, also those left behind by a demo that was killed."""
    for shared in host.root.glob("*/shared"):
        deadline = time.monotonic() + seconds
        while (pid := running(shared)) and time.monotonic() < deadline:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                break
            time.sleep(0.02)


def running(shared: Path) -> int:
    """Return the id of the service's process, 0 if it does not run. Never that of another process with a reused id."""
    pid = _read(shared / "app.pid")
    try:
        words = Path(f"/proc/{int(pid)}/cmdline").read_bytes()
    except (OSError, ValueError):
        return 0
    return int(pid) if f"{shared.parent}/releases/".encode() in words else 0


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
