"""`make demo` right after the repository was cloned: started for real, in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from access.callers import SCOPES
from demo import company, environments, images
from demo.client import OPENER, Client, Refused
from demo.environments import PRODUCTION, STAGING
from demo.service import definition
from demo.surroundings import APPROVER
from tests.lab import docker, image_registry, processes
from tests.lab.busy import within
from tests.lab.network import wait_until

ROOT = Path(__file__).resolve().parents[2]
READY = 60  # seconds, package downloads included; here there are none
NEWEST = definition.BUILDS[3][0]

pytestmark = pytest.mark.demo


class Demo:
    """A demo's process. `record` is what var/demo.json says."""

    def __init__(self, var: Path, **more: str):
        self.var = var
        plain = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.output = var / "output"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "demo"],
                cwd=ROOT,
                env={**plain, "DATA_DIR": str(var), **more},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.started = time.monotonic()

    def wait(self) -> "Demo":
        wait_until(lambda: "Ready after" in self.output.read_text() or self.process.poll() is not None, READY, "a demo")
        assert self.process.poll() is None, self.output.read_text()
        self.seconds = time.monotonic() - self.started
        self.record = json.loads((self.var / "demo.json").read_text())
        self.client = Client(self.record["url"], self.record["token"])
        return self

    def signed_in(self, person: dict, page: str) -> str:
        """Sign in as a browser does. Return the page that this leads to."""
        address = f"{self.record['url']}/login/?next={page}"
        jar = urllib.request.HTTPCookieProcessor()
        browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)
        assert "csrfmiddlewaretoken" in browser.open(address).read().decode()
        cookie = next(one.value for one in jar.cookiejar if one.name == "csrftoken")
        form = {name: person[name] for name in ("username", "password")} | {"csrfmiddlewaretoken": cookie}
        data = urllib.parse.urlencode(form).encode()
        answer = browser.open(urllib.request.Request(address, data, {"Referer": self.record["url"]}))
        assert answer.url.endswith(page), answer.url
        return answer.read().decode()

    def token_of(self, username: str) -> str:
        """Return a token of a user's own."""
        files = {
            f"{name}_FILE": str(self.var / f"demo.{name.lower()}") for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS")
        }
        command = [sys.executable, "manage.py", "token", "tour", "--user", username, "--scopes", "read,deploy"]
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(self.var), **files}
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def pid_of(self, words: str) -> int | None:
        """Return the process whose command line has `words` in it, directly below the demo."""
        for pid in processes.children(self.process.pid):
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it ended while we were looking
            if words in line and processes.alive(pid):
                return pid
        return None

    def versions(self) -> dict[str, set[str]]:
        """Return what the services say that runs in each environment."""
        said: dict[str, set[str]] = {}
        for row in self.instances():
            said.setdefault(row["environment"], set()).add(self.answers(row).removeprefix("hello from "))
        return said

    def instances(self) -> list[dict]:
        return self.client.all(f"services/{definition.NAME}/instances/")

    def answers(self, instance: dict) -> str:
        """Return the service's answer at the instance's own address and port."""
        ip = instance["host"].rpartition(":")[2]
        with OPENER.open(f"http://{ip}:{instance['port']}/", timeout=60) as answer:
            return answer.read().decode().strip()

    def move(self, action: str, to: str, environment: str = STAGING) -> dict:
        """Upgrade or revert every instance of an environment and wait for the end."""
        path = f"services/{definition.NAME}/versions/"
        ids = {row["version"]: row["id"] for row in self.client.all(path)}
        [now] = {row["version_id"] for row in self.instances() if row["environment"] == environment}
        body = {"dest_version": ids[to], "host": "all", "environment": environment}
        accepted = self.client.post(f"{path}{now}/{action}", body)
        return self.client.get(f"deployments/{accepted['id']}?wait=30")


@pytest.fixture(scope="module")
def var(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    yield folder
    processes.end_using(folder)


@pytest.fixture(scope="module")
def demo(var):
    one = Demo(var).wait()
    yield one
    one.end()


def test_starts_and_writes_record(demo):
    assert demo.seconds < within(READY)
    record = demo.record
    assert set(record) == {"url", "username", "password", "approver", "token", "hosts"}
    assert len(record["hosts"]) >= 4
    for host in record["hosts"]:
        assert set(host) == {"id", "hostname", "ip", "port", "root"}
        assert Path(host["root"]).is_dir()
        assert host["ip"].startswith("127.")
        assert demo.client.get(f"hosts/{host['id']}")["base_path"] == host["root"]
    assert (demo.var / "demo.json").stat().st_mode & 0o777 == 0o600


def test_prints_address_login_and_token(demo):
    printed = demo.output.read_text()
    for name in ("url", "username", "password", "token"):
        assert demo.record[name] in printed
    assert demo.record["approver"]["password"] in printed


def test_login_is_superuser_with_full_token(demo):
    [token] = [row for row in demo.client.all("tokens/") if row["name"] == "demo"]
    assert set(token["scopes"]) == set(SCOPES)
    page = demo.signed_in(demo.record, "/people/")
    assert demo.record["username"] in page and "Users" in page


def test_approver_may_deploy_and_is_no_administrator(demo):
    approver = demo.record["approver"]
    page = demo.signed_in(approver, "/account/")
    assert approver["username"] in page and 'href="/people/"' not in page
    [user] = [row for row in demo.client.all("users/") if row["username"] == approver["username"]]
    assert not user["admin"]
    assert {(team["name"], team["role"]) for team in user["teams"]} == {(name, "deployer") for name in company.TEAMS}


def test_builds_and_installs_service(demo):
    rows = demo.client.all(f"services/{definition.NAME}/versions/")
    assert sorted(row["status_str"] for row in rows) == ["failed", "success", "success", "success"]
    instances = demo.instances()
    assert {row["host_id"] for row in instances} == {host["id"] for host in demo.record["hosts"]}
    for instance in instances:
        assert demo.answers(instance) == f"hello from {instance['version']}"


def test_staging_and_production_have_two_hosts_each(demo):
    rows = demo.client.all("environments/")
    assert [row["name"] for row in rows] == list(environments.HOSTS) == ["staging", "production"]
    places = {row["hostname"]: row["environment_id"] for row in demo.client.all("hosts/")}
    for row in rows:
        assert [name for name, number in places.items() if number == row["id"]] == list(environments.HOSTS[row["name"]])
    staging, production = rows
    assert (staging["requires_id"], production["requires_id"]) == (None, staging["id"])
    assert 0 < production["soak_minutes"] <= 2
    assert (staging["approvals"], production["approvals"]) == (0, 1)
    assert [row["environment"] for row in demo.client.all("deployments/")[:2]] == [PRODUCTION, STAGING]


def test_upgrades_and_reverts_every_host_of_an_environment(demo):
    installed = definition.INSTALLED
    for action, to in (("upgrade", NEWEST), ("revert", installed)):
        deployment = demo.move(action, to)
        assert deployment["status"] == "succeeded", deployment
        assert demo.versions() == {STAGING: {to}, PRODUCTION: {installed}}
    for host in demo.record["hosts"]:
        base = Path(host["root"]) / definition.NAME
        assert os.readlink(base / "current") == f"releases/{installed}"


def test_production_takes_what_ran_in_staging(demo):
    with pytest.raises(Refused, match="cannot go to production yet"):
        demo.move("upgrade", NEWEST, PRODUCTION)
    assert demo.move("revert", definition.FIRST, PRODUCTION)["status"] == "succeeded", "a revert is never held up"
    assert demo.versions() == {STAGING: {definition.INSTALLED}, PRODUCTION: {definition.FIRST}}


def test_builds_each_commit_once(demo):
    path = f"services/{definition.BUILT}/versions/"
    newest = demo.client.all(path)[0]
    assert (newest["status_str"], newest["ref"]) == ("pending", "bold")
    again = demo.client.post(path, {"version": "again", "ref": "bold"})
    builds = []
    for row in (newest, again):
        demo.client.post(f"{path}{row['id']}/build", {})
        wait_until(lambda row=row: demo.client.get(f"{path}{row['id']}/build")["finished"], 30, "the build's end")
        builds.append(demo.client.get(f"{path}{row['id']}/build"))
    assert [one["status_str"] for one in builds] == ["success", "duplicate"], builds
    assert newest["version"].endswith(builds[0]["commit"][:7])
    assert f"building {definition.BUILT}" in builds[0]["log"]
    assert builds[1]["duplicate_of"] == newest["id"]


@pytest.mark.slow
def test_images_from_recipe_to_container(demo):
    """Where an engine can be started, it is; elsewhere one line says why not."""
    said = wait_until(
        lambda: [line for line in demo.output.read_text().splitlines() if images.NAME in line], 120, "images"
    )[0]
    if reason := docker.why_not() or ("" if image_registry.installed() else image_registry.MISSING):
        assert "is left out: " in said
        pytest.skip(reason)
    assert f"{images.NAME} runs in containers on {images.HOSTS} hosts" in said
    path = f"services/{images.NAME}"
    old, new = sorted(demo.client.all(f"{path}/versions/"), key=lambda row: row["id"])
    assert (old["status_str"], new["status_str"]) == ("success", "success") and old["image"] != new["image"]
    for action, come, go, greeting in (("upgrade", old, new, "Good day"), ("revert", new, old, "Hello")):
        made = demo.client.post(f"{path}/versions/{come['id']}/{action}", {"dest_version": go["id"], "host": "all"})
        assert demo.client.get(f"deployments/{made['id']}?wait=30")["status"] == "succeeded"
        names = [f"{images.NAME}-{row['id']}" for row in demo.client.all(f"{path}/instances/")]
        assert len(names) == images.HOSTS
        for name in names:
            command = ["docker", "--host", f"unix://{demo.var}/docker/s", "logs", name]
            logs = lambda run=command: subprocess.run(run, capture_output=True, text=True).stdout
            wait_until(lambda said=logs, words=greeting: words in said(), 10, name)


def test_tour_of_the_readme(demo):
    """Staging first; production once it ran there, when a second person has said yes. The minute is not waited for."""
    assert demo.move("upgrade", NEWEST)["status"] == "succeeded"
    [production] = [row for row in demo.client.all("environments/") if row["name"] == PRODUCTION]
    demo.client.patch(f"environments/{production['id']}", {"soak_minutes": 0})
    wanted = {"version": NEWEST, "host": "all", "environment": PRODUCTION}
    waits = demo.client.post(f"services/{definition.NAME}/deploy", wanted)
    path = f"deployments/{waits['id']}"
    assert (waits["status"], [reason["kind"] for reason in waits["wait"]["reasons"]]) == ("waiting", ["approval"])
    yes = {"plan_token": demo.client.get(f"{path}/plan")["plan_token"]}
    with pytest.raises(Refused) as own:
        demo.client.post(f"{path}/approve", yes)
    assert own.value.status == 403, "who asked does not approve"
    demo.client.with_token(demo.token_of(APPROVER)).post(f"{path}/approve", yes)
    assert demo.client.get(f"{path}?wait=30")["status"] == "succeeded"
    assert demo.versions() == {STAGING: {NEWEST}, PRODUCTION: {NEWEST}}
    for environment in (PRODUCTION, STAGING):
        assert demo.move("revert", definition.INSTALLED, environment)["status"] == "succeeded"
    demo.client.patch(f"environments/{production['id']}", {"soak_minutes": production["soak_minutes"]})


@pytest.mark.parametrize("words", ["celery -A deployer worker", "gunicorn", "valkey", "web-iad-1"])
def test_restarts_killed_process(demo, words):
    before = wait_until(lambda: demo.pid_of(words), 5, words)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: demo.pid_of(words) not in (None, before), 2, f"another {words}")


def test_deploys_after_restarts(demo):
    for words in ("celery -A deployer worker", "gunicorn", "valkey"):
        os.kill(wait_until(lambda part=words: demo.pid_of(part), 5, words), signal.SIGKILL)

    def moved():
        try:
            return demo.move("upgrade", NEWEST)
        except (OSError, Refused):  # the web process is on its way back
            return None

    assert wait_until(moved, 20, "an accepted request")["status"] == "succeeded"
    assert demo.move("revert", definition.INSTALLED)["status"] == "succeeded"


def test_refuses_second_demo_on_same_data(demo):
    environment = {**os.environ, "DATA_DIR": str(demo.var)}
    second = subprocess.run([sys.executable, "-m", "demo"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert second.returncode != 0
    assert second.stderr.count("\n") == 1
    assert demo.record["url"] in second.stderr


def test_secret_files_are_private(demo):
    for name in ("demo.env", "demo.json", "demo.last.json", "demo_key", "hosts/web-fra-1/host_key"):
        assert (demo.var / name).stat().st_mode & 0o077 == 0, name


@pytest.mark.slow
def test_interrupt_ends_all_and_data_is_kept(demo, var):
    before, ports = demo.record, [row["port"] for row in demo.instances()]
    places = demo.client.all("environments/")
    below = processes.descendants(demo.process.pid)
    assert len(below) >= 4 + 4 + 3  # hosts, their services, and the product's own parts
    assert demo.end() == 0
    assert not [pid for pid in below if processes.alive(pid)]
    assert not processes.using(var / "hosts")
    assert f"{var}/" not in Path("/proc/self/mounts").read_text()

    again = Demo(var).wait()
    try:
        assert again.record == before
        assert [row["port"] for row in again.instances()] == ports
        assert len(again.client.all(f"services/{definition.NAME}/versions/")) == 4
        assert again.versions()[STAGING] == {definition.INSTALLED}
        assert again.client.all("environments/") == places
        assert again.move("upgrade", NEWEST)["status"] == "succeeded"
        again.process.kill()  # and where it was killed itself, the next one clears up behind it
        again.process.wait()
        third = Demo(var).wait()
        assert third.versions()[STAGING] == {NEWEST}
        assert third.end() == 0
    finally:
        again.end()


@pytest.mark.slow
def test_runs_without_openssh_below_long_path(tmp_path):
    var = tmp_path / ("long" * 25) / "var"
    var.mkdir(parents=True)
    one = Demo(var, DEMO_SSH="paramiko").wait()
    try:
        assert one.pid_of("demo.sshserver")
        assert one.move("upgrade", NEWEST)["status"] == "succeeded"
    finally:
        assert one.end() == 0
        processes.end_using(var)
