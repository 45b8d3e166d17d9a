"""The product as it runs in production: broker, web and worker by their ordinary commands, filled through the API."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from cryptography.fernet import Fernet

from demo.client import OPENER, Client
from demo.network import choose_port
from demo.openssh import write_private
from demo.parts import product

from . import packages
from .hosts import SERVICE
from .measure import family

ROOT = Path(__file__).resolve().parent.parent
FIRST = "v0"  # the version that is installed before anything is measured
HERE = "${CURRENT%/*}"
DEFINITION = {
    "name": SERVICE,
    "description": "What every contestant deploys",
    "start_command": f'[ -d "{HERE}/run" ] || mkdir "{HERE}/run"; echo $$ > "{HERE}/run/pid"',
    "stop_command": f'rm -f "{HERE}/run/pid"',
    "check_command": f'grep -qx "$VERSION" "$CURRENT/VERSION" && test -s "{HERE}/run/pid"',
    "keep_releases": 3,
}


class Product:
    """The product, all of it below `folder`. Call `prepare()` once for a folder, then `start()`, `fill()`, `stop()`.

    `settings`: additional environment variables. `replaced`: words of the parts' commands with what stands for them
    here, such as the worker's application.
    """

    def __init__(self, folder: Path, settings: dict[str, str] | None = None, replaced: dict[str, str] | None = None):
        self.folder, self.api, self.prepared = folder, folder / "api.json", folder / "prepared"
        self._settings, self._replaced = settings or {}, replaced or {}
        self._processes: dict[str, subprocess.Popen] = {}

    def prepare(self) -> None:
        """Make the tables, a superuser and a token: what is there before a system starts for the first time."""
        self.prepared.mkdir(parents=True)
        values = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "DEMO_PASSWORD": secrets.token_urlsafe(12),
        }
        write_private(self.prepared / "secrets.json", json.dumps(values))
        write_private(self.prepared / "token", "")
        people = [sys.executable, "-m", "demo.people", str(self.prepared / "token")]
        subprocess.run(people, env=self.environment(self.prepared), cwd=ROOT, check=True)

    def call(self, *arguments: str) -> None:
        """Run Python with what was prepared, after `prepare`, for rows or files that are there before the start."""
        command = [sys.executable, *arguments]
        environment = self.environment(self.prepared)
        subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    @property
    def is_prepared(self) -> bool:
        return (self.prepared / "token").exists() and bool((self.prepared / "token").read_text())

    def start(self, *wanted: str) -> None:
        """Start the processes on a fresh copy of what was prepared, and return once they can work.

        `wanted`: the names of the parts to start (broker, web, worker); without any, all of them."""
        var = self.var
        shutil.rmtree(var, ignore_errors=True)
        shutil.copytree(self.prepared, var)
        port = choose_port("127.0.0.1")
        self.url, self.token = f"http://127.0.0.1:{port}", (var / "token").read_text().strip()
        environment = self.environment(var) | {"PORT": str(port), "PUBLIC_URL": self.url}
        self._parts = {part.name: part for part in product(environment, lambda name: self.folder / f"{name}.log")}
        for name in wanted or self._parts:
            self.start_part(name)
        self.client = Client(self.url, self.token)
        self.wait_until_ready("readyz" if "worker" in self._processes else "healthz")
        write_private(self.api, json.dumps({"address": "127.0.0.1", "port": port, "token": self.token}))

    def start_part(self, name: str) -> None:
        if name in self._processes:
            return
        part = self._parts[name]
        command = [self._replaced.get(word, word) for word in part.command]
        with part.log.open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, env=part.environment, cwd=part.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def fill(self, addresses: list[str], root: Path, ssh: dict, key: str) -> None:
        """Create hosts with a folder each below `root`, the service, and its first version installed on all of them.

        `ssh`: port, username and host_key, the same for all. `key`: the private key's text."""
        client = self.client
        credential = client.post("credentials/", {"name": "bench", "kind": "key", "secret": key})["id"]
        rows = [
            {"hostname": f"h{number}", "ip": address, "base_path": str(root / address), "credential_id": credential}
            for number, address in enumerate(addresses, 1)
        ]
        hosts = [row["id"] for row in client.post("hosts/import", [row | ssh for row in rows])["data"]]
        client.post("services/", DEFINITION)
        version = client.post(f"services/{SERVICE}/versions/", {"version": FIRST})["id"]
        package = packages.make(self.folder, FIRST, 1 << 10)
        client.put_package(f"services/{SERVICE}/versions/{version}/package", package.read_bytes())
        self.ended(client.post(f"services/{SERVICE}/versions/{version}/install", {"host": hosts}))

    def ended(self, deployment: dict) -> dict:
        """Wait for the deployment's end. Raise RuntimeError unless it succeeded."""
        while deployment["status"] in ("queued", "running"):
            deployment = self.client.get(f"deployments/{deployment['id']}?wait=30")
        if deployment["status"] != "succeeded":
            raise RuntimeError(f"deployment {deployment['id']} {deployment['status']}: {deployment['counts']}")
        return deployment

    def stop(self) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for name in reversed(list(self._processes)):
            self.stop_part(name)
        self.api.unlink(missing_ok=True)

    def stop_part(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def var(self) -> Path:
        return self.folder / "var"

    @property
    def password(self) -> str:
        return json.loads((self.prepared / "secrets.json").read_text())["DEMO_PASSWORD"]

    def pids(self, *names: str) -> list[int]:
        """Return the processes of these parts, or of all."""
        return [pid for name in names or self._processes for pid in family(self._processes[name].pid)]

    def environment(self, var: Path) -> dict[str, str]:
        ours = {"DATA_DIR": str(var), "DEBUG": "0", "LOG_LEVEL": "WARNING"}
        theirs = ("BROKER_URL", "PACKAGE_ROOT", "DATABASE_URL")
        inherited = {name: value for name, value in os.environ.items() if name not in theirs}
        return inherited | json.loads((self.prepared / "secrets.json").read_text()) | ours | self._settings

    def wait_until_ready(self, path: str = "readyz", seconds: float = 60) -> None:
        """Wait until web, database, broker and a worker say that they are there; with `healthz`, until web does."""
        deadline = time.monotonic() + seconds
        while True:
            ended = [process.args for process in self._processes.values() if process.poll() is not None]
            if ended:
                raise RuntimeError(f"{ended[0]!r} did not start; see the logs in {self.folder}")
            try:
                OPENER.open(f"{self.url}/{path}", timeout=5).close()
                return
            except OSError:  # refused, or 503
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the product was not ready in {seconds:g} s; see {self.folder}") from None
                time.sleep(0.01)
