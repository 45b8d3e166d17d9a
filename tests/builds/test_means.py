"""Which sandbox a machine supports, how it is reported, and that nothing is built without one."""

import os

import pytest

from access.callers import SYSTEM
from builds import build_requests, builders, execution
from builds.models import Build
from builds.sandbox import commands, layout, means
from builds.sandbox.commands import BUBBLEWRAP, NAMESPACES, NONE, OFF, Isolation
from messages.rendering import english
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories
from tests.lab import processes
from tests.lab.network import wait_until

from .repository import Repository
from .test_sandbox import running


def machine(monkeypatch, works: set[str], network: bool = True) -> None:
    """Simulate a machine where these means of isolation work."""

    def try_out(way: Isolation) -> str:
        if way.means not in works:
            return f"{way.means} is not here"
        return "no pasta" if way.network and not network else ""

    monkeypatch.setattr(means, "try_out", try_out)


def test_removes_folders_of_killed_workers_only(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    used, left = layout.make().folder, layout.make().folder
    held = layout.hold(used)
    os.close(layout.hold(left))
    assert (layout.remove_abandoned(), os.listdir(tmp_path)) == (1, [os.path.basename(used)])
    os.close(held)


def test_failed_networks_leave_no_process(monkeypatch):
    """A pasta that finds no /dev/net/tun leaves a child process that waits for ever."""
    before = set(processes.children(1))
    way = Isolation("bubblewrap", network=True, root=os.geteuid() == 0)
    monkeypatch.setattr(commands, "network", lambda *_: ["sh", "-c", "sleep 321.5 & exit 1", "sh"])
    assert "exit status 1" in means.try_out(way)
    wait_until(lambda: not [pid for pid in set(processes.children(1)) - before if running("321.5")], 5, "its end")
    assert not running("321.5")


@pytest.mark.parametrize(
    ("works", "wanted", "found"),
    [
        ({BUBBLEWRAP, NAMESPACES}, "auto", BUBBLEWRAP),
        ({NAMESPACES}, "auto", NAMESPACES),
        (set(), "auto", NONE),
        ({BUBBLEWRAP, NAMESPACES}, NAMESPACES, NAMESPACES),
        ({NAMESPACES}, BUBBLEWRAP, NONE),
        (set(), OFF, OFF),
    ],
)
def test_uses_the_strongest_sandbox(monkeypatch, works, wanted, found):
    machine(monkeypatch, works)
    support = means.look(wanted, "auto")
    assert support.means == found
    assert bool(support.refusal()) is (found == NONE)
    assert found != NONE or "bubblewrap" in english(support.refusal())


def test_reports_what_a_network_lacks(monkeypatch):
    machine(monkeypatch, {BUBBLEWRAP}, network=False)
    support = means.look("auto", "auto")
    assert (support.means, support.network) == (BUBBLEWRAP, "none")
    assert support.missing[0].code == "sandbox_missing.network"
    assert means.look("auto", "none").missing == ()


@pytest.mark.django_db
def test_builds_nothing_without_a_sandbox(api, tmp_path, monkeypatch, settings):
    settings.GIT_ALLOWED_PROTOCOLS = ["file"]
    machine(monkeypatch, set())
    found = means.look("auto", "auto")
    monkeypatch.setattr(means, "find", lambda *_: found)
    ran = tmp_path / "ran"
    service = factories.service("shop", build_url=Repository(tmp_path / "repository").url, build_command=f"touch {ran}")
    version = MicroServiceVersion.objects.create(microservice=service, version="1.0")
    build_requests.start(SYSTEM, version)  # requested before it was known
    assert execution.work() == 1
    build = Build.objects.get()
    assert build.status == BuildStatus.FAILED and "Install the package bubblewrap" in build.detail
    assert not ran.exists()
    builders.report("worker-1", found)
    other = MicroServiceVersion.objects.create(microservice=service, version="2.0")
    answer = api().post(f"/services/shop/versions/{other.pk}/build")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_sandbox")
    assert "bubblewrap" in answer.json()["detail"]
    told = api().get("/builds/sandbox").json()
    assert [(one["worker"], one["means"]) for one in told["data"]] == [("worker-1", "none")]
    assert told["limits"]["memory"] == settings.BUILD_MEMORY
    builders.report("worker-2", means.SandboxSupport(Isolation(BUBBLEWRAP, True)))
    assert api().post(f"/services/shop/versions/{other.pk}/build").status_code == 202
