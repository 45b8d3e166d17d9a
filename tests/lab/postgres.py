"""A real PostgreSQL server for the tests: made anew in a temporary folder, gone afterwards."""

import contextlib
import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import processes
from .cable import Network
from .network import free_port

# It holds nothing worth keeping, so it never waits for a disk.
FAST = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB", "max_connections=300"]


def find_programs() -> Path | None:
    """Return the folder of initdb and postgres, the newest version's; None where PostgreSQL is not installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


class Postgres:
    """`with Postgres() as server:` — `server.url("name")` is a DATABASE_URL. User postgres, no password."""

    settings = FAST

    def __init__(self, port: int | None = None, network: Network | None = None):
        """`network`: the server stands at the other end of it, and can be cut off there."""
        self.port = port or free_port()
        self.network = network
        self.address = network.address if network else "127.0.0.1"
        self.process: subprocess.Popen | None = None
        self.folder: Path | None = None

    def url(self, database: str) -> str:
        return f"postgresql://postgres@{self.address}:{self.port}/{database}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self) -> None:
        programs = find_programs()
        if programs is None:
            raise FileNotFoundError("this machine has no PostgreSQL (Debian: postgresql)")
        user = _server_user()
        self.folder = Path(tempfile.mkdtemp(prefix="deployer-postgres-", dir="/tmp"))
        if user.pw_uid != os.geteuid():
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        data = self.folder / "data"
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        made = subprocess.run(initdb, **_as(user, self.folder), capture_output=True, text=True)
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.0.0.0/8 trust\n")
        self.run()

    def run(self) -> None:
        """Start the server on the data that is there."""
        programs, user = find_programs(), _server_user()
        assert programs is not None and self.folder is not None
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        options = [word for setting in self.settings for word in ("-c", setting)]
        listen = ["-h", self.address, "-p", str(self.port), "-k", str(self.folder)]
        command, how = [programs / "postgres", "-D", self.folder / "data", *listen, *options], _as(user, self.folder)
        if self.network is not None:
            command, how = [*self.network.inside(user.pw_uid, user.pw_gid), *command], {"cwd": self.folder}
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(command, **how, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait(programs)

    def kill(self) -> None:
        """SIGKILL to the server and all of its sessions; `run` starts it again."""
        assert self.process is not None
        for pid in [self.process.pid, *processes.descendants(self.process.pid)]:
            processes.kill(pid)
        self.process.wait()

    def signal(self, number: int) -> None:
        """To the server and all of its sessions."""
        assert self.process is not None
        for pid in [self.process.pid, *processes.descendants(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait(self, programs: Path) -> None:
        command = [programs / "pg_isready", "-q", "-h", self.address, "-p", str(self.port), "-t", "30"]
        for _ in range(300):
            if self.process.poll() is not None:
                break
            if subprocess.run(command).returncode == 0:
                return
        log = (self.folder / "log").read_text()
        self.stop()
        raise RuntimeError(f"PostgreSQL did not start: {log}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(2)  # SIGINT: a fast shutdown, clients are thrown out
            processes.end(self.process, 10)
            self.process = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None


def _server_user() -> pwd.struct_passwd:
    """PostgreSQL refuses to run as root; then it runs as its own user, or as nobody."""
    if os.geteuid():
        return pwd.getpwnam(getpass.getuser())
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _as(user: pwd.struct_passwd, folder: Path) -> dict:
    if user.pw_uid == os.geteuid():
        return {"cwd": folder}
    return {"cwd": folder, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
