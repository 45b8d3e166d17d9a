"""The sign-in at the registry of an image: read with the claim, given to the host once, masked, kept by nobody."""

import base64
import json
import os
import threading

import pytest
from django.db import connection

from access.secrets import Secret
from integrations.models import Setting
from microservice.deployments import actions
from microservice.models import MicroServiceVersion
from microservice.status import DeploymentStatus, OperationStatus
from tests.lab.fleet import Fleet
from tests.lab.network import wait_until
from worker import execution

from .test_secrets import ANN, everything, output, work

pytestmark = pytest.mark.django_db(transaction=True)
HOST, USER, PASSWORD = "registry.example:5000", "robot$ci", "canary-of-the-registry"
LOGIN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
# Prints what it was given, as no engine would.
CLIENT = f"""#!/bin/sh
case $1-$2 in
image-inspect) exit 1 ;;
pull-*) cat "$DOCKER_CONFIG/config.json"; echo "$DOCKER_CONFIG" >PLACE; echo '{USER}:{PASSWORD}'; touch BEGAN; SLOW ;;
esac
"""


@pytest.fixture
def fleet(transactional_db, sshds, tmp_path):
    fleet = Fleet(sshds(1), environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    yield fleet
    execution.process_writer().close()
    execution.process_writer.cache_clear()


def set_up(fleet: Fleet, tmp_path, host: str = HOST, slow: str = ":") -> None:
    part = {"url": f"https://{HOST}", "user": USER, "password": PASSWORD}
    Setting.objects.create(document=Secret(json.dumps({"registry": part})))
    client = tmp_path / "docker"
    places = {"PLACE": str(tmp_path / "place"), "BEGAN": str(tmp_path / "began"), "SLOW": slow}
    text = CLIENT
    for word, value in places.items():
        text = text.replace(word, value)
    client.write_text(text)
    client.chmod(0o755)
    for version in fleet.versions:
        version.image = f"{host}/shop/web@sha256:{version.sha256}"
        MicroServiceVersion.objects.filter(pk=version.pk).update(image=version.image)


def test_sign_in_reaches_the_pull_and_is_kept_nowhere(fleet, tmp_path):
    set_up(fleet, tmp_path)
    operation = work(fleet.install(wait=False))
    assert operation.status == OperationStatus.SUCCEEDED, (operation.error, output(operation))
    said = output(operation)
    assert said.count(b"*" * len(LOGIN)) == 1 and b"auths" in said
    kept = b"".join(path.read_bytes() for path in fleet.folder().rglob("*") if path.is_file() and path.name != "output")
    for text in (said.decode(), everything(operation), kept.decode(errors="replace"), repr(operation.deployment.spec)):
        assert PASSWORD not in text and LOGIN not in text
    assert not os.path.exists((tmp_path / "place").read_text().strip())


def test_another_registry_gets_no_sign_in(fleet, tmp_path):
    set_up(fleet, tmp_path, host="elsewhere.example")
    operation = work(fleet.install(wait=False))
    assert operation.status == OperationStatus.SUCCEEDED, operation.error
    assert b"auths" not in output(operation)


def test_unreadable_settings_fail_before_the_host(fleet, tmp_path):
    set_up(fleet, tmp_path)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Setting._meta.db_table} SET document = 'no token'")
    operation = work(fleet.install(wait=False))
    assert operation.status == OperationStatus.UNDONE and "cannot be read" in operation.error
    assert not fleet.folder().exists()


def test_cancelled_in_a_pull(fleet, tmp_path):
    set_up(fleet, tmp_path, slow="sleep 60")
    made = fleet.install(wait=False)
    thread = threading.Thread(target=execution.work)
    thread.start()
    wait_until((tmp_path / "began").exists, 30)
    actions.cancel(ANN, made)
    thread.join(60)
    operation = work(made)
    assert (operation.status, made.status) == (OperationStatus.CANCELLED, DeploymentStatus.CANCELLED)
    assert not os.path.exists((tmp_path / "place").read_text().strip())


@pytest.mark.slow
def test_worker_killed_in_a_pull(make_fleet, worker, tmp_path):
    """The host pulls on by itself, with the sign-in that it has; the next worker masks what it then reads."""
    fleet = make_fleet(hosts=1, environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    set_up(fleet, tmp_path, slow="sleep 3")
    first = worker()
    made = fleet.install(wait=False)
    wait_until((tmp_path / "began").exists, 30)
    first.kill()
    worker()
    assert fleet.ended(made).status == DeploymentStatus.SUCCEEDED
    operation = made.operations.get()
    assert operation.takeovers >= 1
    said = output(operation)
    assert b"auths" in said and PASSWORD.encode() not in said and LOGIN.encode() not in said
    assert not os.path.exists((tmp_path / "place").read_text().strip())
