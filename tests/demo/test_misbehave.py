"""The switch that makes a host misbehave: its output, and its effect over a real sshd."""

import json
import os
import signal
import subprocess
import time

import pytest

from demo import misbehave
from demo.service import definition
from microservice.models import Step
from tests.lab.busy import within
from tests.lab.fleet import CHECK, START, STOP, Fleet
from tests.lab.network import wait_until
from worker import execution

at = definition._may_misbehave


@pytest.fixture
def fleet(transactional_db, sshds):
    commands = {"start": START, "stop": STOP, "check": CHECK, "pre": "true", "post": "true"}
    fleet = Fleet(
        sshds(1), name=definition.NAME, **{f"{name}_command": at(name) + text for name, text in commands.items()}
    )
    yield fleet
    execution.process_writer().close()
    execution.process_writer.cache_clear()


def run(deployment):
    while execution.work():
        pass
    deployment.refresh_from_db()
    return deployment.operations.get()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", misbehave.STEPS)
def test_failing_step_is_undone(fleet, step):
    run(fleet.install(wait=False))
    misbehave.misbehave(fleet.hosts[0].root, "fail", step)
    fleet.service.check_timeout = 1
    fleet.service.save()
    operation = run(fleet.go("upgrade", 0, 1, wait=False))
    assert (operation.status, operation.error_step) == ("undone", step)
    assert misbehave.SAID[step] in operation.error
    fleet.agrees(0)
    misbehave.misbehave(fleet.hosts[0].root, "heal")
    assert run(fleet.go("upgrade", 0, 1, wait=False)).status == "succeeded"


@pytest.mark.django_db(transaction=True)
def test_dropped_connection_changes_nothing(fleet, worker):
    worker()
    fleet.install()
    fleet.service.pre_command = "sleep 3"
    fleet.service.save()
    deployment = fleet.go("upgrade", 0, 1, wait=False)
    wait_until(lambda: Step.objects.filter(name="pre", status="running").exists(), 20)
    sentence = misbehave.misbehave(fleet.hosts[0].root, "drop", "1", fleet.hosts[0].folder)
    assert not sentence.startswith("0 ")
    assert fleet.ended(deployment).status == "succeeded"
    fleet.agrees(1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a disk small enough to fill it")
def test_full_disk_keeps_old_version(fleet):
    run(fleet.install(wait=False))
    try:
        assert "full" in misbehave.misbehave(fleet.hosts[0].root, "full")
        operation = run(fleet.go("upgrade", 0, 1, wait=False))
        assert operation.status == "undone" and "disk" in operation.error
        fleet.agrees(0)
    finally:
        misbehave.misbehave(fleet.hosts[0].root, "heal")
    assert run(fleet.go("upgrade", 0, 1, wait=False)).status == "succeeded"


@pytest.mark.parametrize(
    "words", [[], ["web-fra-9"], ["web-fra-1", "explode"], ["web-fra-1", "fail"], ["web-fra-1", "hang", "lunch"]]
)
def test_invalid_arguments_list_choices(words, tmp_path, monkeypatch, capsys):
    (tmp_path / "demo.json").write_text(json.dumps({"hosts": [{"hostname": "web-fra-1", "root": str(tmp_path)}]}))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert misbehave.main(words) == 2
    assert "python -m demo.misbehave" in capsys.readouterr().err


def test_hang_keeps_running_version():
    text = misbehave.script("hang", "start", "1.0")
    tried = subprocess.run(["sh", "-c", "at=start VERSION=1.0\n" + text + "echo on"], capture_output=True, text=True)
    assert tried.stdout == "on\n"
    began = time.monotonic()
    command = ["sh", "-c", "at=start VERSION=2.0\n" + text]
    hangs = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            hangs.wait(0.5)
    finally:
        os.killpg(hangs.pid, signal.SIGKILL)  # also what the shell has started
        hangs.wait()
    assert time.monotonic() - began < within(4)
