"""A failure in each step of each action, over a real sshd: the steps are undone in reverse order, the old version runs.

The worker side runs in this process (its writer, its threads, its SSH), so that many cases fit into little time; what
happens to worker processes is shown in test_execution.py.
"""

import os
import re
from pathlib import Path

import pytest

from access.callers import SYSTEM
from microservice.deployments import actions
from microservice.models import MicroServiceInstance, Step
from microservice.status import InstanceStatus
from tests.lab.fleet import CHECK, START, STOP, Fleet
from tests.microservice.deployments.requests import install
from worker import execution

pytestmark = pytest.mark.django_db(transaction=True)

FAIL = 'if [ -e "$SHARED/fail-{0}-$VERSION" ]; then echo "told to fail in {0}"; exit 7; fi; '
NOTE = 'echo "{0} $VERSION" >> "$SHARED/trace"; '


def command(name: str, text: str = "true") -> str:
    return FAIL.format(name) + NOTE.format(name) + text


SERVICE = {
    "pre_command": command("pre"),
    "pre_undo_command": command("pre_undo"),
    "post_command": command("post"),
    "post_undo_command": command("post_undo"),
    "start_command": FAIL.format("start") + START,
    "stop_command": FAIL.format("stop") + STOP,
    "check_command": FAIL.format("check") + CHECK,
    "check_timeout": 1,
    "keep_releases": 2,
    "steps": [
        {"name": "migrate", "before": "link", "run": command("migrate"), "undo": command("migrate_undo")},
        {"name": "warm", "before": "check", "run": command("warm"), "undo": command("warm_undo")},
    ],
}
CHANGE = ["pre", "stop", "migrate", "link", "start", "warm", "check", "post"]


@pytest.fixture
def fleet(transactional_db, sshds):
    fleet = Fleet(sshds(1), **SERVICE)
    yield fleet
    execution.process_writer().close()
    execution.process_writer.cache_clear()


def run(fleet: Fleet, deployment):
    while execution.work():
        pass
    deployment.refresh_from_db()
    return deployment.operations.get()


def tree(fleet: Fleet) -> dict[str, str]:
    """Return {path: content or link target} of what a failed operation must leave unchanged in the service's folder."""
    root, found = fleet.folder(), {}
    for folder, names, files in os.walk(root):
        for name in [*names, *files]:
            path = Path(folder, name)
            short = str(path.relative_to(root))
            if short.startswith(".deployer") or re.match(r"releases/2\.0(/|$)|shared/(trace|pid|fail-.*)$", short):
                continue  # the run's own notes, the release that a second try will find, and the test's own files
            found[short] = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else path.read_text()
    return found


def sabotage(fleet: Fleet, step: str, version: str) -> None:
    """Make a step fail: by a file that its command looks for, or by an obstacle for the host's own steps."""
    if step == "link":
        # Renaming a link over a folder that is not empty fails for every user, root included.
        (fleet.folder() / "current").unlink()
        (fleet.folder() / "current" / "in the way").mkdir(parents=True)
        return
    (fleet.folder() / "shared" / f"fail-{step}-{version}").touch()


@pytest.mark.parametrize("step", [name for name in CHANGE if name != "link"])
@pytest.mark.parametrize("action", ["upgrade", "revert"])
def test_failed_change_ends_on_old_version(fleet, action, step):
    old, new = (0, 1) if action == "upgrade" else (2, 1)
    run(fleet, fleet.install(old, wait=False))
    before, began = tree(fleet), len(fleet.trace())
    sabotage(fleet, step, fleet.versions[old].version if step == "stop" else fleet.versions[new].version)
    operation = run(fleet, fleet.go(action, old, new, wait=False))
    assert (operation.status, operation.undo_status, operation.error_step) == ("undone", "undone", step)
    assert "told to fail" in operation.error
    assert tree(fleet) == before
    fleet.agrees(old)
    assert MicroServiceInstance.objects.get().status == InstanceStatus[f"{action.upper()}_FAILED"]
    reached = CHANGE[: CHANGE.index(step)]
    undone = [name for name in ("post", "warm", "migrate", "pre") if name in reached]
    told = [line.split()[0] for line in fleet.trace()[began:] if "_undo" in line]
    assert told == [f"{name}_undo" for name in undone], "undone in reverse order, each once"
    steps = {row.name: row for row in Step.objects.filter(operation=operation)}
    failed = steps.pop(step)
    assert (failed.status, failed.exit_status) == ("failed", 7), "its own undo does not hide that"
    assert all(steps[name].status == "done" for name in reached)
    assert {name for name, row in steps.items() if row.undo_status == "undone"} >= set(undone)
    assert {row.undo_status for row in steps.values()} <= {"none", "undone"}
    assert all(row.undo_started and row.undo_finished for row in steps.values() if row.undo_status == "undone")
    retried = run(fleet, actions.retry(SYSTEM, operation.deployment))
    assert retried.status == "undone" and retried.bytes_sent == 0, "a second try sends no package"


@pytest.mark.parametrize("step", ["pre", "migrate", "start", "warm", "check", "post"])
def test_failed_install_leaves_nothing_running(fleet, step):
    (fleet.folder() / "shared").mkdir(parents=True)
    sabotage(fleet, step, "2.0")
    before = {name: text for name, text in tree(fleet).items() if name != "releases"}
    operation = run(fleet, fleet.install(1, wait=False))
    assert (operation.status, operation.error_step) == ("undone", step)
    assert {name: text for name, text in tree(fleet).items() if name != "releases"} == before
    instance = MicroServiceInstance.objects.get()
    assert (instance.status, instance.version, instance.locked) == (InstanceStatus.INSTALL_FAILED, None, False)
    assert fleet.current() == "" and fleet.running() == ""
    next(fleet.folder().glob("shared/fail-*")).unlink()
    assert run(fleet, actions.retry_instances(SYSTEM, fleet.service, [instance.pk])).status == "succeeded"
    fleet.agrees(1)


@pytest.mark.parametrize("step", ["pre", "stop", "post"])
def test_failed_delete_leaves_service_running(fleet, step):
    run(fleet, fleet.install(1, wait=False))
    before = tree(fleet)
    sabotage(fleet, step, "2.0")
    instance = MicroServiceInstance.objects.get()
    operation = run(fleet, actions.delete(SYSTEM, fleet.service, [instance.pk]))
    assert (operation.status, operation.error_step) == ("undone", step)
    assert tree(fleet) == before
    fleet.agrees(1)
    assert MicroServiceInstance.objects.get().status == InstanceStatus.DELETE_FAILED
    next(fleet.folder().glob("shared/fail-*")).unlink()
    assert run(fleet, actions.retry_instances(SYSTEM, fleet.service, [instance.pk])).status == "succeeded"
    fleet.agrees(None)


def test_refuses_altered_package(fleet):
    from django.core.files.storage import default_storage

    run(fleet, fleet.install(0, wait=False))
    before = tree(fleet)
    with default_storage.open(fleet.versions[1].file_path, "r+b") as file:
        file.seek(30)
        file.write(b"\xff\xff\xff")
    operation = run(fleet, fleet.go("upgrade", 0, 1, wait=False))
    assert operation.status == "undone" and "store is damaged" in operation.error
    assert tree(fleet) == before
    fleet.agrees(0)


@pytest.mark.parametrize("undo", ["pre_undo", "migrate_undo", "warm_undo"])
def test_failed_undo_does_not_stop_other_undos(fleet, undo):
    run(fleet, fleet.install(0, wait=False))
    for version in ("1.0", "2.0"):
        sabotage(fleet, undo, version)
    sabotage(fleet, "post", "2.0")
    operation = run(fleet, fleet.go("upgrade", 0, 1, wait=False))
    assert (operation.status, operation.undo_status) == ("failed", "failed")
    assert undo.removesuffix("_undo") in operation.error
    fleet.agrees(0)
    others = {"pre_undo", "migrate_undo", "warm_undo"} - {undo}
    assert others <= {line.split()[0] for line in fleet.trace()}


def test_names_obstacle_of_swap(fleet):
    run(fleet, fleet.install(0, wait=False))
    sabotage(fleet, "link", "2.0")
    operation = run(fleet, fleet.go("upgrade", 0, 1, wait=False))
    assert operation.error_step == "prepare" and operation.status == "undone", "before anything was stopped"
    assert not MicroServiceInstance.objects.get().locked
    assert fleet.running() == "1.0"


def test_quotes_every_value_in_shell(fleet, tmp_path):
    canary = tmp_path / "canary"
    evil = f"'; touch {canary}; $(touch {canary}) `touch {canary}` \"\n-rf ../../x"
    fleet.service.environment = {"EVIL": evil}
    fleet.service.pre_command = 'printf %s "$EVIL|$TAG" > "$SHARED/said"'
    fleet.service.save()
    made = install(SYSTEM, fleet.versions[0], [fleet.assets[0].pk], tag=evil.replace("\n", " ")[:64])
    assert run(fleet, made).status == "succeeded"
    assert not canary.exists()
    assert (fleet.folder() / "shared" / "said").read_text() == f"{evil}|{evil.replace(chr(10), ' ')[:64]}"
