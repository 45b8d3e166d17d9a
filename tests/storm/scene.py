"""The processes of one storm: a database, a broker, web and workers, hosts, and a client."""

import contextlib
import http.client
import json
import os
import random
import signal
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from runtime import embedded_broker as broker_command
from tests.lab import processes
from tests.lab.broker import Broker
from tests.lab.network import free_port, wait_for_port
from tests.lab.sshd import Sshd

from .places import DEFINITION, SERVICE, Place, SmallDisk, contents, services
from .residents import Database, Resident, Residents
from .tally import Tally

VERSIONS = ("1.0", "2.0")
LATE = "another worker owns it now"


@dataclass
class Size:
    """How big a scene is, and how fast its clocks are."""

    database: str
    hosts: int = 10
    servers: int = 3
    workers: int = 3
    slots: int = 6
    lease: int = 3
    sweep: int = 1


def environment(folder: Path, size: Size, database_url: str, broker_url: str, port: int) -> dict[str, str]:
    """What every process of the product is started with: as in production, but quick, and with crash points armed."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    (folder / "points").mkdir(exist_ok=True)
    return kept | {
        "DJANGO_SETTINGS_MODULE": "deployer.settings",
        "SECRET_KEY": "storm-" + Fernet.generate_key().decode(),
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DATA_DIR": str(folder / "var"),
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "OPERATION_LEASE_SECONDS": str(size.lease),
        "SWEEP_INTERVAL": str(size.sweep),
        "WORKER_CONCURRENCY": str(size.slots),
        "CRASH_POINTS": str(folder / "points"),
        "LOG_LEVEL": "INFO",
    }


@dataclass
class Lost:
    """An operation whose worker died or was frozen, until somebody else has it."""

    owner: str
    since: float


@dataclass
class Scene:
    folder: Path
    size: Size
    seed: int
    tally: Tally
    chance: random.Random = field(init=False)
    places: list[Place] = field(default_factory=list)
    workers: list[Resident] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    disk: SmallDisk | None = None
    hurried: bool = True
    hit: set[Callable] = field(default_factory=set)  # faults that were injected
    ended: dict[int, dict] = field(default_factory=dict)  # rows of operations that have ended, as they were then

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.began = time.monotonic()
        self.log = self.folder / "logs"
        self.log.mkdir(parents=True)
        (self.folder / "var").mkdir()
        self.port = free_port()
        self.token = ""
        self.postgres: Database | None = None
        self.sshds: list[Sshd] = []
        self._lost: dict[int, Lost] = {}
        self._over = threading.Event()
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
        self._make_rows()
        wait_for_port("127.0.0.1", self.port, 60)
        threading.Thread(target=self._follow_takeovers, daemon=True).start()

    def say(self, words: str) -> None:
        """What happens, for whoever reads the log of a storm."""
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
        self._over.set()
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

    def _make_rows(self) -> None:
        from django.contrib.auth.models import User
        from django.core.files.base import ContentFile
        from django.core.files.storage import default_storage

        from access.tokens import make_token
        from asset.models import Asset, Credential
        from microservice.models import MicroService, MicroServiceVersion
        from microservice.status import BuildStatus
        from tests.lab.fleet import package

        user = User.objects.create_superuser("storm", password=None)
        self.token = make_token(user, "storm", ["read", "publish", "deploy", "admin"])[1]
        self.service = MicroService.objects.create(name=SERVICE, **DEFINITION)
        for name in VERSIONS:
            data = package(contents(name))
            import hashlib

            row = MicroServiceVersion.objects.create(
                microservice=self.service,
                version=name,
                status=BuildStatus.SUCCESS,
                file_path=default_storage.save(f"{SERVICE}/{name}.tar.gz", ContentFile(data)),
                sha256=hashlib.sha256(data).hexdigest(),
                size=len(data),
            )
            self.versions[name] = row.pk
        for place in self.places:
            credential, _ = Credential.objects.get_or_create(
                name=place.sshd.folder.name, defaults={"secret": place.sshd.client_key}
            )
            place.asset_id = Asset.objects.create(
                hostname=place.name,
                ip=place.relay.address,
                port=place.relay.port,
                username=place.sshd.username,
                credential=credential,
                host_key=place.sshd.host_key,
                base_path=str(place.root),
            ).pk

    # ---- the client --------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: object = None, patience: float = 60.0) -> tuple[int, dict]:
        """A request as a pipeline makes it: the same key again until there is an answer that is one."""
        key, deadline = uuid.uuid4().hex, time.monotonic() + patience
        while True:
            try:
                status, answer = self._once(method, path, body, key)
                if status < 500 and answer.get("code") != "idempotency_in_progress":
                    return status, answer
                if status < 500 and self.hurried and time.monotonic() > deadline - patience + 3:
                    key = uuid.uuid4().hex  # somebody died with the key: it would be free again after its lease
                words = f"{status} {answer}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                words = repr(error)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path} was not answered within {patience} s: {words}")
            time.sleep(0.2)

    def _once(self, method: str, path: str, body: object, key: str) -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Idempotency-Key": key}
        try:
            connection.request(method, "/api/v1" + path, json.dumps(body or {}) if method == "POST" else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

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

    # ---- who lost what, and when somebody else had it ----------------------------------------------------------------

    def _died(self, resident: Resident, pid: int) -> None:
        if resident.name.startswith("worker"):
            threading.Thread(target=self.lost_by, args=(pid, time.monotonic()), daemon=True).start()

    def lost_by(self, pid: int, since: float) -> list[int]:
        """The operations that the worker process `pid` had: followed until somebody else has them."""
        from microservice.models import Operation
        from microservice.status import OperationStatus

        mine = Operation.objects.filter(status=OperationStatus.RUNNING, owner__contains=f":{pid}:")
        try:
            found = self.rows(lambda: list(mine.values_list("pk", "owner")))
        except Exception:  # noqa: BLE001 - at the very end of a storm its database is gone
            return []
        for number, owner in found:
            self._lost[number] = Lost(owner, since)
        return [number for number, _ in found]

    def _follow_takeovers(self) -> None:
        from django.db import DatabaseError

        while not self._over.wait(0.2):
            if not self._lost:
                continue
            try:
                self._look_who_has()
            except DatabaseError:
                continue

    def _look_who_has(self) -> None:
        from microservice.models import Operation

        numbers = list(self._lost)
        for number, owner in Operation.objects.filter(pk__in=numbers).values_list("pk", "owner"):
            lost = self._lost.get(number)
            if lost is not None and owner != lost.owner:
                self._lost.pop(number, None)
                if owner:  # empty: it was let go by its own worker
                    self.tally.takeover_seconds.append(time.monotonic() - lost.since)

    # ---- counting ----------------------------------------------------------------------------------------------------

    def arm(self, point: str, word: str = "die") -> None:
        (self.folder / "points" / point).write_text(word)

    def disarm(self) -> list[str]:
        """Points that nobody came to; they are taken away."""
        left = [path for path in (self.folder / "points").iterdir() if "." not in path.name]
        for path in left:
            path.unlink(missing_ok=True)
        return [path.name for path in left]

    def self_stopped(self) -> list[Resident]:
        """Workers that stand still because a crash point said `stop`."""
        return [one for one in self.workers if one.pid and not one.stopped and _state(one.pid) == "T"]

    def thaw(self, one: Resident) -> None:
        """A worker that stopped itself at a crash point goes on."""
        for path in (self.folder / "points").glob(f"*.{one.pid}"):
            path.unlink(missing_ok=True)
        one.signal(signal.SIGCONT)

    def is_held(self) -> bool:
        """Whether somebody has SQLite's one write lock, for half a second at least."""
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


__all__ = ["VERSIONS", "Scene", "Size", "processes"]
