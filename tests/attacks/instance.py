"""A production-like instance: PostgreSQL, a broker, two web processes behind nginx with the shipped file, a worker, two
real SSH hosts, secrets in files. With the people of the review: an administrator and the teams red and blue."""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from microservice.status import DEPLOYMENT_ENDED
from tests.builds.buildservers import Server
from tests.builds.repository import Repository
from tests.lab import processes
from tests.lab.broker import Broker
from tests.lab.fleet import package
from tests.lab.network import wait_until
from tests.lab.nginx import Nginx
from tests.lab.postgres import Postgres
from tests.lab.sshd import Sshd
from tests.lab.web import Web
from tests.lab.worker import ROOT, Worker

from .caller import Client

PASSWORD = "a-horse-of-{}-4711"
ALL = "read,publish,deploy,build,tokens,admin"
BUILDING = ("pending", "building")
SCOPES = {"viewer": "read", "publisher": "read,publish", "deployer": "read,publish,deploy", "owner": ALL}
PREPARE = """
import django, sys; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
call_command("createsuperuser", interactive=False, username="admin", email="", verbosity=0)
call_command("token", "attacks", user="admin", scopes=sys.argv[1])
"""
RED_SECRET, RED_VALUE, RED_PASSWORD = "TOP SECRET OF TEAM RED", "red-s3cret-value", "red-s3cret-password"
PEOPLE = {  # name: team and role
    "alice": ("red", "owner"),
    "carol": ("red", "publisher"),
    "vera": ("red", "viewer"),
    "bob": ("blue", "owner"),
    "dave": ("blue", "deployer"),
    "frank": ("", ""),
}


class Instance:
    """`web`, `worker`, `nginx` and `hosts` (an Sshd of red and one of blue) run. `admin` and `people["bob"]` are
    callers with a token of all rights that they have; frank has no role and none. `secrets`: none may come out."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack):
        self.folder, self._stack = folder, stack
        self.var, self.tmp = folder / "var", folder / "tmp"
        for each in (self.var, self.tmp, folder / "packages", folder / "secrets"):
            each.mkdir(mode=0o700)
        database = stack.enter_context(Postgres())
        broker = stack.enter_context(Broker(folder / "broker.sock"))
        self.secrets = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "DATABASE_URL": database.url("postgres"),
            "BROKER_URL": broker.url,
            "BUILD_WEBHOOK_SECRET": secrets.token_urlsafe(20),
        }
        self.environment = self._environment()
        self.web = Web(self.environment, folder / "web.log")
        self.nginx = Nginx(folder / "nginx", self.web.port)
        self.url = self.nginx.url
        self.environment["PUBLIC_URL"] = self.web.environment["PUBLIC_URL"] = self.url
        token = self._prepared()
        stack.enter_context(self.web)
        stack.enter_context(self.nginx)
        self.worker = stack.enter_context(Worker(self.environment, folder / "worker.log"))
        self.hosts = {team: stack.enter_context(Sshd(folder / team)) for team in ("red", "blue")}
        self.gitlab = stack.enter_context(GitLab())
        self.admin = Client(self.url, token, "127.0.0.1")
        self.people: dict[str, Client] = {}
        self._populate()

    def _environment(self) -> dict[str, str]:
        known = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        for name, value in self.secrets.items():
            path = self.folder / "secrets" / name.lower()
            path.touch(0o600)
            path.write_text(value + "\n")
            known[f"{name}_FILE"] = str(path)
        return known | {
            "DATA_DIR": str(self.var),
            "PACKAGE_ROOT": str(self.folder / "packages"),
            "TMPDIR": str(self.tmp),
            "TRUSTED_PROXIES": "127.0.0.1",
            "ALLOWED_HOSTS": "127.0.0.1",
            "WEB_PROCESSES": "2",
            "GIT_ALLOWED_PROTOCOLS": "file",
            "SWEEP_INTERVAL": "1",
            "OPERATION_LEASE_SECONDS": "5",
            "UNREACHABLE_TIMEOUT": "10",
            "DJANGO_SETTINGS_MODULE": "deployer.settings",
        }

    def _prepared(self) -> str:
        """Migrates and makes the administrator; the administrator's token."""
        environment = {**self.environment, "DJANGO_SUPERUSER_PASSWORD": PASSWORD.format("admin")}
        done = subprocess.run(
            [sys.executable, "-c", PREPARE, ALL], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split()[-1]

    def _populate(self) -> None:
        for name in PEOPLE:
            self.admin.made("/users/", {"username": name, "password": PASSWORD.format(name)})
        self.teams = {}
        for team in ("red", "blue"):
            members = [{"user": name, "role": role} for name, (one, role) in PEOPLE.items() if one == team]
            self.teams[team] = self.admin.made("/teams/", {"name": team, "members": members})["id"]
        for number, (name, (_, role)) in enumerate(PEOPLE.items(), 1):
            browser = self.browser(f"127.0.1.{number}")
            assert browser.sign_in(name, PASSWORD.format(name)).status == 302
            if not role:  # without a right there is no token either
                continue
            made = browser.made("/tokens/", {"name": "own", "scopes": SCOPES[role].split(",")})
            self.people[name] = Client(self.url, made["token"], f"127.0.1.{number}")
        self.host_ids = {team: self.add_host(f"{team}1", host, team) for team, host in self.hosts.items()}
        alice = self.people["alice"]
        alice.made(
            "/services/",
            {
                "name": "redsvc",
                "team": "red",
                "environment": {"DB_PASSWORD": RED_PASSWORD},
                "secrets": {"API_KEY": RED_VALUE},
            },
        )
        self.red_version = self.publish(alice, "redsvc", "1.0", package({"app/config.txt": RED_SECRET}))
        assert self.installed(alice, "redsvc", self.red_version, "red")["status"] == "succeeded"
        self.admin.made("/services/", {"name": "common"})

    def add_host(self, name: str, host: Sshd, team: str) -> int:
        """Create a host of the team; return its id."""
        key = self.admin.made("/credentials/", {"name": f"key-{name}", "kind": "key", "secret": host.client_key})
        return self.admin.made(
            "/hosts/",
            {
                "hostname": name,
                "ip": host.address,
                "port": host.port,
                "username": host.username,
                "teams": [team],
                "credential_id": key["id"],
                "host_key": host.host_key,
                "base_path": str(host.root),
            },
        )["id"]

    # --- what people do -----------------------------------------------------------------------------------------------

    def browser(self, source: str = "127.0.0.1") -> Client:
        """Return a browser that is not signed in."""
        return Client(self.url, source=source)

    def publish(self, who: Client, service: str, name: str, data: bytes) -> int:
        version = who.made(f"/services/{service}/versions/", {"version": name})["id"]
        answer = who.ask(
            "PUT", f"/api/v1/services/{service}/versions/{version}/package", data, Content_Type="application/gzip"
        )
        assert answer.status == 200, answer.text
        return version

    def installed(self, who: Client, service: str, version: int, host: str | int) -> dict[str, Any]:
        """Return the operation once it has ended, with its output as `log`."""
        number = self.host_ids.get(host, host)
        made = who.made(f"/services/{service}/versions/{version}/install", {"host": [number]})
        deployment = f"/deployments/{made['id']}"
        wait_until(lambda: who.get(deployment).json["status"] in DEPLOYMENT_ENDED, 60, f"{service} being installed")
        found = who.whole(f"{deployment}/operations")[0]
        return {**found, "log": who.get(f"/operations/{found['id']}/log").text}

    def built(self, who: Client, service: str, name: str, ref: str = "master") -> dict[str, Any]:
        """Return the build of a new version once it has ended; or {"refused": how}."""
        version = who.made(f"/services/{service}/versions/", {"version": name, "ref": ref})["id"]
        path = f"/services/{service}/versions/{version}/build"
        answer = who.post(path)
        if answer.status not in (200, 202):
            return {"refused": answer.said, "log": "", "status_str": "refused", "detail": answer.text}
        wait_until(lambda: who.get(path).json["status_str"] not in BUILDING, 100, f"{service} being built")
        return who.get(path).json

    def repository(self, name: str) -> Repository:
        return Repository(self.folder / "repositories" / name)

    # --- what can be seen of it ---------------------------------------------------------------------------------------

    def processes(self) -> list[int]:
        """Those of web and worker."""
        return [pid for one in (self.web, self.worker) for pid in (one.pid, *processes.descendants(one.pid))]

    def manage(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.stdout + done.stderr

    def healthy(self, source: str = "127.0.7.7") -> float:
        """Seconds until /healthz has answered through nginx."""
        began = time.monotonic()
        assert Client(self.url, source=source).ask("GET", "/healthz", timeout=30).status == 200
        return time.monotonic() - began


class GitLab(Server):
    """Records its requests, and has a user, so that it can be configured."""

    def gitlab(self, method: str, path: str, raw: bytes):
        if path == "/api/v4/user":
            return 200, {"username": "deployer"}, ()
        if path == "/api/v4/projects":
            return 200, [], ()
        return super().gitlab(method, path, raw)


@contextlib.contextmanager
def running() -> Iterator[Instance]:
    folder = Path(tempfile.mkdtemp(prefix="attacked-", dir="/var/tmp"))  # short: unix sockets; a disk: builds
    folder.chmod(0o755)
    try:
        with contextlib.ExitStack() as stack:
            yield Instance(folder, stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
