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
    """All of it below `folder`. `prepare()` once for a folder, then `start()`, `fill()`, and `stop()` at the end."""

    def __init__(self, folder: Path):
        self.folder, self.api = folder, folder / "api.json"
        self._token, self._prepared = folder / "token", folder / "prepared"
        self._processes: list[subprocess.Popen] = []

    def prepare(self) -> None:
        """The tables, a superuser and a token: what is there before a system starts for the first time."""
        self._prepared.mkdir(parents=True)
        made = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "FIELD_KEYS": Fernet.generate_key().decode(),
            "DEMO_PASSWORD": secrets.token_urlsafe(12),
        }
        write_private(self._prepared / "secrets.json", json.dumps(made))
        write_private(self._prepared / "token", "")
        people = [sys.executable, "-m", "demo.people", str(self._prepared / "token")]
        subprocess.run(people, env=self._environment(self._prepared), cwd=ROOT, check=True)

    @property
    def is_prepared(self) -> bool:
        return (self._prepared / "token").exists() and bool((self._prepared / "token").read_text())

    def start(self) -> None:
        """Starts the processes on a fresh copy of what was prepared, and returns once they can work."""
        var = self.folder / "var"
        shutil.rmtree(var, ignore_errors=True)
        shutil.copytree(self._prepared, var)
        port = choose_port("127.0.0.1")
        environment = self._environment(var) | {"PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}"}
        for part in product(environment, lambda name: self.folder / f"{name}.log"):
            with part.log.open("ab") as log:
                streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
                process = subprocess.Popen(part.command, env=part.environment, cwd=part.folder, **streams)
            self._processes.append(process)
        self.client = Client(f"http://127.0.0.1:{port}", (var / "token").read_text().strip())
        self._wait_until_ready(f"http://127.0.0.1:{port}")
        where = {"address": "127.0.0.1", "port": port, "token": (var / "token").read_text().strip()}
        write_private(self.api, json.dumps(where))

    def fill(self, addresses: list[str], root: Path, ssh: dict, key: str) -> None:
        """Hosts with a folder each below `root`, the service, and its first version installed on all of them.

        `ssh`: port, username and host_key, the same for all. `key`: the private key's text."""
        client = self.client
        credential = client.post("credentials/", {"name": "bench", "kind": "key", "secret": key})["id"]
        rows = [
            {"hostname": f"h{number}", "ip": address, "base_path": str(root / address), "credential_id": credential}
            for number, address in enumerate(addresses, 1)
        ]
        hosts = [row["id"] for row in client.post("hosts/import", [row | ssh for row in rows])["data"]]  # type: ignore[arg-type]
        client.post("services/", DEFINITION)
        version = client.post(f"services/{SERVICE}/versions/", {"version": FIRST})["id"]
        package = packages.make(self.folder, FIRST, 1 << 10)
        client.put_package(f"services/{SERVICE}/versions/{version}/package", package.read_bytes())
        deployment = client.post(f"services/{SERVICE}/versions/{version}/install", {"host": hosts})
        while deployment["status"] in ("queued", "running"):
            deployment = client.get(f"deployments/{deployment['id']}?wait=30")
        if deployment["status"] != "succeeded":
            raise RuntimeError(f"the first version could not be installed: {deployment}")

    def stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in reversed(self._processes):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes = []
        self.api.unlink(missing_ok=True)

    def pids(self) -> list[int]:
        return [pid for process in self._processes for pid in family(process.pid)]

    def _environment(self, var: Path) -> dict[str, str]:
        ours = {"VAR": str(var), "DEBUG": "0", "LOG_LEVEL": "WARNING"}
        given = {name: value for name, value in os.environ.items() if name not in ("BROKER_URL", "PACKAGE_ROOT")}
        return given | json.loads((self._prepared / "secrets.json").read_text()) | ours

    def _wait_until_ready(self, url: str, seconds: float = 60) -> None:
        """Until web, database, broker and a worker say that they are there."""
        deadline = time.monotonic() + seconds
        while True:
            ended = [process.args for process in self._processes if process.poll() is not None]
            if ended:
                raise RuntimeError(f"{ended[0]} did not start; see the logs in {self.folder}")
            try:
                OPENER.open(f"{url}/readyz", timeout=5).close()
                return
            except OSError:  # refused, or 503
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the product was not ready in {seconds:g} s; see {self.folder}") from None
                time.sleep(0.05)
