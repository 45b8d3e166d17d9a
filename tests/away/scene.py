"""A product at work (web, two workers, hosts with operations that print) on a PostgreSQL that a test takes away."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
from cryptography.fernet import Fernet

from tests.lab.broker import Broker
from tests.lab.cable import Network
from tests.lab.pgbouncer import PgBouncer
from tests.lab.postgres import Postgres
from tests.lab.sshd import Sshd
from tests.lab.web import Web
from tests.lab.worker import ROOT, Worker

from .watchers import Pages, Stream, get

PARTS = ("sweeps", "writers", "pages", "stream", "command")
KINDS = ("killed", "frozen", "held", "cut")
LINES = 3000  # that each operation prints, one in 0.4 s: as long as the test watches


class Scene:
    """`with Scene(folder) as scene:` — everything runs, and the operations are at work. `cable`: whether the database
    stands in a network of its own, which "cut" needs. `pooling`: of a PgBouncer between; "": none is there."""

    def __init__(
        self,
        folder: Path,
        cable: bool = False,
        workers: int = 2,
        hosts: int = 6,
        lines: int = LINES,
        pooling: str = "",
        **more: str,
    ):
        self.folder, self.network, self.more = folder, Network() if cable else None, more
        self.postgres = Postgres(network=self.network)
        self.broker = Broker(folder / "b")
        self.hosts = [Sshd(folder / f"h{number}") for number in range(hosts)]
        self.pooling = pooling
        self.count, self.lines = workers, lines
        self._open: list = []

    def __enter__(self) -> "Scene":
        try:
            for part in (self.network, self.postgres, self.broker, *self.hosts):
                if part is not None:
                    self._enter(part)
            server = self._enter(PgBouncer(self.postgres, self.pooling)) if self.pooling else self.postgres
            self.environment = self._environment(server.url("postgres"))
            self._prepare()
            self.web = self._enter(Web(self.environment, self.folder / "web.log"))
            self.workers = [self._enter(Worker(self.environment, self.folder / f"w{n}.log")) for n in range(self.count)]
            self.pages = self._enter(Pages(self.web.url, self.token))
            self.stream = self._enter(Stream(self.web.url, self.token))
            self._put_to_work()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        while self._open:
            self._open.pop().__exit__(None, None, None)

    def _enter(self, part):
        part.__enter__()
        self._open.append(part)
        return part

    def _environment(self, url: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "DJANGO_SETTINGS_MODULE": "deployer.settings",
            "SECRET_KEY": "away-" + Fernet.generate_key().decode(),
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "DATA_DIR": str(self.folder / "var"),
            "DEBUG": "1",
            "DATABASE_URL": url,
            "BROKER_URL": self.broker.url,
            **self.more,
        }

    def manage(self, *words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120)

    def _prepare(self) -> None:
        told = [
            {
                "address": host.address,
                "port": host.port,
                "username": host.username,
                "client_key": host.client_key,
                "host_key": host.host_key,
                "root": str(host.root),
            }
            for host in self.hosts
        ]
        migrated = self.manage("migrate")
        assert migrated.returncode == 0, migrated.stderr
        command = [sys.executable, "-m", "tests.away.prepare", json.dumps(told), str(self.lines)]
        made = subprocess.run(command, cwd=ROOT, env=self.environment, timeout=240, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        self.made = json.loads(made.stdout.splitlines()[-1])
        self.token = self.made["token"]

    def _put_to_work(self) -> None:
        self.post("versions/{}/install".format(self.made["versions"][0]), {"host": self.made["hosts"], "port": 8080})
        at_work = lambda: all(size for (size,) in self.ask("SELECT output_size FROM operation"))
        self.until(at_work, 90, "all are at work")

    def post(self, path: str, body: dict) -> dict:
        """Send a request about the service, which must be accepted."""
        status, answer = get(f"{self.web.url}/api/v1/services/{self.made['service']}/{path}", self.token, body)
        assert status == 202, answer
        return json.loads(answer)

    # ---- looking, by the server's own socket: no network lies between -----------------------------------------------

    def ask(self, sql: str, *values) -> list[tuple]:
        url = f"host={self.postgres.folder} port={self.postgres.port} user=postgres dbname=postgres connect_timeout=3"
        with psycopg.connect(url, autocommit=True, application_name="test") as line:
            line.execute("SET statement_timeout = '5s'")
            return line.execute(sql, values).fetchall()

    def printed(self) -> dict[int, int]:
        return dict(self.ask("SELECT id, output_size FROM operation WHERE status = 'running'"))

    def until(self, condition, seconds: float, what: str) -> float:
        """Seconds until it holds. A database that does not answer holds nothing."""
        began = time.monotonic()
        while True:
            try:
                if condition():
                    return time.monotonic() - began
            except (psycopg.OperationalError, psycopg.InternalError):
                pass
            if time.monotonic() - began > seconds:
                logs = "\n".join(one.log()[-1500:] for one in (*self.workers, self.web))
                raise TimeoutError(f"{what}: not within {seconds} s\n{logs}")
            time.sleep(0.1)

    # ---- taking it away ----------------------------------------------------------------------------------------------

    def away(self, kind: str, seconds: float) -> None:
        """Stop the database for so many seconds. Returns at the moment of its return."""
        getattr(self, f"_{kind}")(seconds)

    def _killed(self, seconds: float) -> None:
        self.postgres.kill()
        time.sleep(seconds)
        self.postgres.run()

    def _frozen(self, seconds: float) -> None:
        self.postgres.signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.postgres.signal(signal.SIGCONT)

    def _cut(self, seconds: float) -> None:
        assert self.network is not None, "only a network of its own can be cut"
        self.network.cut()
        time.sleep(seconds)
        self.network.heal()

    def _held(self, seconds: float) -> None:
        """Lock the tables that every process needs."""
        url = f"host={self.postgres.folder} port={self.postgres.port} user=postgres dbname=postgres"
        with psycopg.connect(url, application_name="psql") as line:
            line.execute("LOCK TABLE operation, event, worker_heartbeat IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds)

    def back(self, seconds: float = 60) -> dict[str, float]:
        """After its return: seconds until each part works again."""
        found: dict[str, float] = {}
        began, wall = time.monotonic(), time.time()
        before: dict[int, int] = {}
        seen = self.stream.count

        def command() -> None:
            while self.manage("verify_history").returncode:
                if time.monotonic() - began > seconds:
                    return
            found["command"] = time.monotonic() - began

        running = threading.Thread(target=command, daemon=True)
        running.start()
        sweeps = "SELECT count(*) FROM worker_heartbeat WHERE seen > to_timestamp(%s)"
        self.until(lambda: self.ask(sweeps, wall)[0][0] >= self.count, seconds, "a sweep of each worker")
        found["sweeps"] = time.monotonic() - began
        self.until(lambda: before.update(self.printed()) or len(before) == len(self.hosts), seconds, "the operations")
        grown = lambda: (
            all(size > before[number] for number, size in self.printed().items())
            and not self.ask("SELECT 1 FROM operation WHERE status = 'running' AND lease < now()")
        )
        self.until(grown, seconds, "the writers")
        found["writers"] = time.monotonic() - began
        self.until(lambda: self.stream.count > seen, seconds, "the stream")
        found["stream"] = self.stream.first_after(began) - began
        time.sleep(max(0.0, began + 12 - time.monotonic()))
        if min(self.pages.answered.values()) > began:  # else one of them hangs, which is no failure yet
            found["pages"] = max(0.0, self.pages.last_failure() - began)
        running.join(seconds)
        return {name: round(found.get(name, seconds), 1) for name in PARTS}
