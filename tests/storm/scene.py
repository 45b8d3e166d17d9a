"""The processes of one storm: a database, a broker, web and workers, hosts, and a client."""

import contextlib
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runtime import embedded_broker as broker_command
from tests.lab.broker import Broker
from tests.lab.network import free_port, wait_for_port
from tests.lab.sshd import Sshd

from .client import Client
from .installation import Size, create_rows, environment
from .places import Place, SmallDisk, services
from .residents import Database, Resident, Residents
from .takeovers import Takeovers
from .tally import Tally

LATE = "another worker owns it now"


@dataclass
class Scene:
    folder: Path
    size: Size
    seed: int
    tally: Tally
    chance: random.Random = field(init=False)
    places: list[Place] = field(default_factory=list)
    workers: list[Resident] = field(default_factory=list)
    disk: SmallDisk | None = None
    hit: set[Callable] = field(default_factory=set)  # faults that were injected
    ended: dict[int, dict] = field(default_factory=dict)  # rows of operations that have ended, as they were then

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.began = time.monotonic()
        self.log = self.folder / "logs"
        self.log.mkdir(parents=True)
        (self.folder / "var").mkdir()
        self.port = free_port()
        self.postgres: Database | None = None
        self.sshds: list[Sshd] = []
        self.takeovers = Takeovers(self.rows, self.tally.takeover_seconds)
        self.residents = Residents(self._died)

    # ---- start and end -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Everything but the workers: those come with `start_workers`."""
        url = f"sqlite://{self.folder}/db.sqlite3"
        if self.size.database == "postgresql":
            self.postgres = Database()
            self.postgres.start()
            url = self.postgres.url("postgres")
        self.broker = Broker(self.folder / "broker.sock")
        self.environment = environment(self.folder, self.size, url, self.broker.url, self.port)
        os.environ.update(self.environment)
        os.environ |= {"LOG_LEVEL": "ERROR", "DEBUG": "0"}
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        if self.postgres is not None:
            self.database = self.residents.add(self.postgres.as_resident(self.log / "database.log"))
        socket = self.folder / "broker.sock"
        self.broker_process = self.residents.add(
            Resident(
                "broker",
                broker_command.command(socket),
                self.environment,
                self.log / "broker.log",
                lambda: socket.unlink(missing_ok=True),
            )
        )
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "deployer.wsgi"]
        self.web = self.residents.add(Resident("web", gunicorn, self.environment, self.log / "web.log"))
        self._make_places()
        rows = create_rows(self.places)
        self.service, self.versions = rows.service, rows.versions
        self.client = Client(self.port, rows.token)
        self.approvers = [Client(self.port, token) for token in rows.approvers]
        wait_for_port("127.0.0.1", self.port, 60)
        self.takeovers.start()

    def say(self, words: str) -> None:
        """Write what happens to the storm's log."""
        with (self.log / "storm.log").open("a") as log:
            log.write(f"{time.monotonic() - self.began:7.1f} {words}\n")
        if os.environ.get("STORM_VERBOSE"):
            print(f"{time.monotonic() - self.began:7.1f} {words}", file=sys.stderr, flush=True)

    def start_workers(self) -> None:
        for number in range(self.size.workers):
            command = [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "deployer",
                "worker",
                "--loglevel",
                "INFO",
                "--hostname",
                f"storm{number}@%h",
                "--without-gossip",
                "--without-mingle",
            ]
            log = self.log / f"worker{number}.log"
            self.workers.append(self.residents.add(Resident(f"worker{number}", command, self.environment, log)))
        deadline = time.monotonic() + 60
        while any(b" ready." not in one.log.read_bytes() if one.log.exists() else True for one in self.workers):
            if time.monotonic() > deadline:
                raise RuntimeError("the workers did not start: " + self.workers[0].log.read_text()[-2000:])
            time.sleep(0.2)

    def close(self) -> None:
        self.takeovers.stop()
        self.residents.end()
        for place in self.places:
            place.end()
        for sshd in self.sshds:
            sshd.stop()
        if self.disk is not None:
            self.disk.end()
        if self.postgres is not None:
            self.postgres.stop()

    def _make_places(self) -> None:
        for number in range(self.size.servers):
            sshd = Sshd(self.folder / f"sshd{number}")
            sshd.start()
            self.sshds.append(sshd)
        self.disk = SmallDisk(self.folder / "disk")
        if not self.disk.made:
            self.tally.impossible.append("disk full: mounting a small file system needs root")
        for number in range(self.size.hosts):
            root = self.folder / f"hosts/h{number}"
            if self.disk.made and number == self.size.hosts - 1:
                root = self.folder / f"disk/h{number}"
            place = Place(number, self.sshds[number % self.size.servers], root)
            place.small_disk = root.parent.name == "disk"
            self.places.append(place)

    # ---- rows --------------------------------------------------------------------------------------------------------

    def rows(self, read: Callable, patience: float = 60.0):
        """`read()` with the database as it is: asked again while the storm has it down."""
        from django.db import DatabaseError, connection

        deadline = time.monotonic() + patience
        while True:
            try:
                return read()
            except DatabaseError:
                with contextlib.suppress(DatabaseError):
                    connection.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            finally:
                if threading.current_thread() is not threading.main_thread():
                    connection.close()  # the thread ends some time, and a pool would never get it back

    # ---- takeovers ---------------------------------------------------------------------------------------------------

    def _died(self, resident: Resident, pid: int) -> None:
        if resident.name.startswith("worker"):
            threading.Thread(target=self.takeovers.lost_by, args=(pid, time.monotonic()), daemon=True).start()

    # ---- counting ----------------------------------------------------------------------------------------------------

    def arm(self, point: str, word: str = "die") -> None:
        (self.folder / "points" / point).write_text(word)

    def disarm(self) -> list[str]:
        """Remove the points that were not met, and return their names."""
        left = [path for path in (self.folder / "points").iterdir() if "." not in path.name]
        for path in left:
            path.unlink(missing_ok=True)
        return [path.name for path in left]

    def self_stopped(self) -> list[Resident]:
        """Workers that stand still because a crash point said `stop`."""
        return [one for one in self.workers if one.pid and not one.stopped and _state(one.pid) == "T"]

    def thaw(self, one: Resident) -> None:
        """Let a worker that stopped itself at a crash point go on."""
        for path in (self.folder / "points").glob(f"*.{one.pid}"):
            path.unlink(missing_ok=True)
        one.signal(signal.SIGCONT)

    def is_held(self) -> bool:
        """Return whether SQLite's one write lock is held, for half a second at least."""
        connection = sqlite3.connect(self.folder / "db.sqlite3", timeout=0.5, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
        finally:
            connection.close()
        return False

    def count_up(self) -> None:
        from django.db.models import Sum

        from microservice.models import Deployment, Operation

        self.tally.operations = Operation.objects.count()
        self.tally.deployments = Deployment.objects.count()
        self.tally.takeovers = Operation.objects.aggregate(n=Sum("takeovers"))["n"] or 0
        self.tally.refused_by_rows = sum(
            path.read_text(errors="replace").count(LATE) for path in self.log.glob("worker*.log")
        )
        self.tally.refused_by_hosts = sum(place.refused() for place in self.places)

    def services(self) -> dict[str, list[int]]:
        return services()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
