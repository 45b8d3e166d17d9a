"""A failure in each step of each action, over a real sshd: the old version runs again, undone in reverse order.

The worker side runs in this process (its ledger, its threads, its SSH), so that many cases fit into little time; what
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
from tests.microservice.deployments.requests import install
from worker import execution

from .world import CHECK, START, STOP, World

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
def here(transactional_db, sshds):
    world = World(sshds(1), **SERVICE)
    yield world
    execution.process_writer().close()
    execution.process_writer.cache_clear()


def run(world: World, deployment):
    while execution.work():
        pass
    deployment.refresh_from_db()
    return deployment.operations.get()


def tree(world: World) -> dict[str, str]:
    """Everything below the service's folder that an operation may not change for good, with its content or target."""
    root, found = world.folder(), {}
    for folder, names, files in os.walk(root):
        for name in [*names, *files]:
            path = Path(folder, name)
            short = str(path.relative_to(root))
            if short.startswith(".deployer") or re.match(r"releases/2\.0(/|$)|shared/(trace|pid|fail-.*)$", short):
                continue  # the run's own notes, the release that a second try will find, and the test's own files
            found[short] = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else path.read_text()
    return found


def sabotage(world: World, step: str, version: str) -> None:
    """Makes a step fail: by a file that its command looks for, or (the host's own steps) by what lies in its way."""
    if step == "link":
        # Renaming a link over a folder that is not empty fails for every user, root included.
        (world.folder() / "current").unlink()
        (world.folder() / "current" / "in the way").mkdir(parents=True)
        return
    (world.folder() / "shared" / f"fail-{step}-{version}").touch()


@pytest.mark.parametrize("step", [name for name in CHANGE if name != "link"])
@pytest.mark.parametrize("action", ["upgrade", "revert"])
def test_a_failure_in_any_step_of_a_change_ends_on_the_old_version(here, action, step):
    old, new = (0, 1) if action == "upgrade" else (2, 1)
    run(here, here.install(old, wait=False))
    before, began = tree(here), len(here.trace())
    sabotage(here, step, here.versions[old].version if step == "stop" else here.versions[new].version)
    operation = run(here, here.go(action, old, new, wait=False))
    assert (operation.status, operation.undo_status, operation.error_step) == ("undone", "undone", step)
    assert "told to fail" in operation.error
    assert tree(here) == before
    here.agrees(old)
    assert MicroServiceInstance.objects.get().status == InstanceStatus[f"{action.upper()}_FAILED"]
    reached = CHANGE[: CHANGE.index(step)]
    undone = [name for name in ("post", "warm", "migrate", "pre") if name in reached]
    told = [line.split()[0] for line in here.trace()[began:] if "_undo" in line]
    assert told == [f"{name}_undo" for name in undone], "undone in reverse order, each once"
    steps = dict(Step.objects.filter(operation=operation).values_list("name", "status"))
    assert steps[step] == "failed" or step in ("stop", "start")
    assert {steps[name] for name in reached if name != "check"} <= {"undone", "done"}
    retried = run(here, actions.retry(SYSTEM, operation.deployment))
    assert retried.status == "undone" and retried.bytes_sent == 0, "a second try sends no package"


@pytest.mark.parametrize("step", ["pre", "migrate", "start", "warm", "check", "post"])
def test_a_failure_in_any_step_of_an_install_leaves_nothing_running(here, step):
    (here.folder() / "shared").mkdir(parents=True)
    sabotage(here, step, "2.0")
    before = {name: text for name, text in tree(here).items() if name != "releases"}
    operation = run(here, here.install(1, wait=False))
    assert (operation.status, operation.error_step) == ("undone", step)
    assert {name: text for name, text in tree(here).items() if name != "releases"} == before
    instance = MicroServiceInstance.objects.get()
    assert (instance.status, instance.version, instance.locked) == (InstanceStatus.INSTALL_FAILED, None, False)
    assert here.current() == "" and here.running() == ""
    next(here.folder().glob("shared/fail-*")).unlink()
    assert run(here, actions.retry_instances(SYSTEM, here.service, [instance.pk])).status == "succeeded"
    here.agrees(1)


@pytest.mark.parametrize("step", ["pre", "stop", "post"])
def test_a_failure_in_any_step_of_a_delete_leaves_it_running(here, step):
    run(here, here.install(1, wait=False))
    before = tree(here)
    sabotage(here, step, "2.0")
    instance = MicroServiceInstance.objects.get()
    operation = run(here, actions.delete(SYSTEM, here.service, [instance.pk]))
    assert (operation.status, operation.error_step) == ("undone", step)
    assert tree(here) == before
    here.agrees(1)
    assert MicroServiceInstance.objects.get().status == InstanceStatus.DELETE_FAILED
    next(here.folder().glob("shared/fail-*")).unlink()
    assert run(here, actions.retry_instances(SYSTEM, here.service, [instance.pk])).status == "succeeded"
    here.agrees(None)


def test_a_package_that_is_not_what_was_stored_is_never_put_in_place(here):
    from django.core.files.storage import default_storage

    run(here, here.install(0, wait=False))
    before = tree(here)
    with default_storage.open(here.versions[1].file_path, "r+b") as file:
        file.seek(30)
        file.write(b"\xff\xff\xff")
    operation = run(here, here.go("upgrade", 0, 1, wait=False))
    assert operation.status == "undone" and "store is damaged" in operation.error
    assert tree(here) == before
    here.agrees(0)


@pytest.mark.parametrize("undo", ["pre_undo", "migrate_undo", "warm_undo"])
def test_a_failed_undo_is_told_apart_and_the_others_are_still_done(here, undo):
    run(here, here.install(0, wait=False))
    for version in ("1.0", "2.0"):
        sabotage(here, undo, version)
    sabotage(here, "post", "2.0")
    operation = run(here, here.go("upgrade", 0, 1, wait=False))
    assert (operation.status, operation.undo_status) == ("failed", "failed")
    assert undo.removesuffix("_undo") in operation.error
    here.agrees(0)
    others = {"pre_undo", "migrate_undo", "warm_undo"} - {undo}
    assert others <= {line.split()[0] for line in here.trace()}


def test_what_is_in_the_way_of_the_swap_is_a_named_failure(here):
    run(here, here.install(0, wait=False))
    sabotage(here, "link", "2.0")
    operation = run(here, here.go("upgrade", 0, 1, wait=False))
    assert operation.error_step == "prepare" and operation.status == "undone", "before anything was stopped"
    assert not MicroServiceInstance.objects.get().locked
    assert here.running() == "1.0"


def test_what_a_service_defines_is_never_pasted_into_the_shell_unquoted(here, tmp_path):
    canary = tmp_path / "canary"
    evil = f"'; touch {canary}; $(touch {canary}) `touch {canary}` \"\n-rf ../../x"
    here.service.environment = {"EVIL": evil}
    here.service.pre_command = 'printf %s "$EVIL|$TAG" > "$SHARED/said"'
    here.service.save()
    made = install(SYSTEM, here.versions[0], [here.assets[0].pk], tag=evil.replace("\n", " ")[:64])
    assert run(here, made).status == "succeeded"
    assert not canary.exists()
    assert (here.folder() / "shared" / "said").read_text() == f"{evil}|{evil.replace(chr(10), ' ')[:64]}"
