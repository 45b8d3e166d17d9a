"""The demo's service: its commands do what they say, run as the host program runs them, and its packages are whole."""

import io
import os
import subprocess
import sys
import tarfile

import pytest

from demo import company, hosts
from demo.service import definition
from microservice.catalog import links
from microservice.models import MicroService
from tests.lab import processes
from tests.lab.network import free_port

OLD, NEW = definition.BUILDS[0][0], definition.BUILDS[1][0]


@pytest.fixture
def run(short_tmp):
    """Return a function that runs a command of the service for a version; `run.shared` is its shared folder."""
    base = short_tmp / "root" / "checkout"
    shared = base / "shared"
    shared.mkdir(parents=True)
    (short_tmp / "address").write_text("127.0.0.1\n")
    for version in (OLD, NEW):
        with tarfile.open(fileobj=io.BytesIO(definition.package(version))) as archive:
            archive.extractall(base / "releases" / version, filter="data")
    port = free_port()

    def command(text: str, version: str, **more: str) -> subprocess.CompletedProcess:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHON": sys.executable,
            "SHARED": str(shared),
            "VERSION": version,
            "RELEASE": str(base / "releases" / version),
            "PORT": str(port),
            **more,
        }
        return subprocess.run(
            ["sh", "-c", text], env=environment, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
        )

    command.shared, command.base = shared, base
    yield command
    processes.end_using(short_tmp)


def test_start_check_and_stop(run):
    assert run(definition.START, OLD).returncode == 0
    checked = run(definition.CHECK, OLD)
    assert (checked.returncode, OLD in checked.stdout) == (0, True), checked.stderr
    pid = hosts.running(run.shared)
    assert processes.alive(pid)
    assert run(definition.STOP, OLD).returncode == 0
    assert not processes.alive(pid)


def test_check_fails_for_other_version(run):
    run(definition.START, OLD)
    assert run(definition.CHECK, OLD).returncode == 0
    checked = run(definition.CHECK, NEW)
    assert checked.returncode != 0
    assert OLD in checked.stderr


def test_check_fails_without_process(run):
    assert run(definition.CHECK, OLD).returncode != 0


def test_stop_without_process(run):
    assert run(definition.STOP, OLD).returncode == 0
    (run.shared / "app.pid").write_text(str(os.getpid()))
    assert run(definition.STOP, OLD).returncode == 0


def test_restarts_what_ran_before(run, short_tmp):
    host = hosts.Host("web-fra-1", short_tmp, "127.0.0.1", 22)
    (run.base / "current").symlink_to(f"releases/{NEW}")
    assert hosts.boot(host) == []  # nothing was ever started
    run(definition.START, NEW)
    assert hosts.boot(host) == []  # it runs
    hosts.shut_down(host)
    assert not hosts.running(run.shared)
    for command, environment in hosts.boot(host):
        subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL)
    assert run(definition.CHECK, NEW).returncode == 0


def test_hooks_print_what_they_do(run):
    run(definition.OUT, NEW, OTHER_VERSION=OLD)
    run(definition.BACK, NEW)
    assert (run.shared / "traffic.log").read_text().splitlines()[1] == f"in traffic: {NEW}"


def test_every_service_links_to_its_repository():
    wanted = [definition.service("python3"), definition.built("python3", "file:///repository")]
    for fields in [*wanted, *(service.fields() for service in company.SERVICES)]:
        service = MicroService(**{name: fields[name] for name in links.LINKS})
        assert not links.errors(service) and links.repository(service).endswith(f"/{fields['name']}")
        assert links.commit(service, "1a2b3c4") == f"{service.repository_url}/commit/1a2b3c4"


def test_package_is_reproducible():
    assert definition.package(OLD) == definition.package(OLD) != definition.package(NEW)


def test_versions_of_demo_service():
    good = [name for name, success, _ in definition.BUILDS if success]
    assert len(good) == 3
    assert len(definition.BUILDS) == 4
    assert good[1] == definition.INSTALLED
