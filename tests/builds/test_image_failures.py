"""Builds of images that go wrong: cancelled, silent, too long, and engines and registries that go away."""

import json
import os
import signal
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from access.secrets import Secret
from builds import build_requests, execution
from builds.models import Build
from integrations.models import Setting
from microservice.status import BuildStatus
from tests.lab.image_registry import ImageRegistry
from tests.lab.network import wait_until

from .image_steps import WORD, built, service
from .steps import ANN, ask, pending, state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("store", "quick")]


@contextmanager
def working(version, **more):
    """Request a build, and let a thread be its worker; yields when the engine says something."""
    build_requests.start(ANN, version, **more)
    thread = threading.Thread(target=_work, daemon=True)
    thread.start()
    try:
        wait_for_step(version)
        yield
    finally:
        thread.join(12)
        assert not thread.is_alive()


def wait_for_step(version, seconds: float = 30) -> None:
    """Wait until the step itself has spoken: before, the engine makes and removes containers of its own."""
    wait_until(lambda: "begun\n" in Build.objects.filter(version=version).latest("pk").log, seconds, "the step")


def _work() -> None:
    try:
        execution.work()
    finally:
        connection.close()


def test_a_cancelled_build_stops_its_step(base, docker_engine):
    version = pending(service({"base": base, "run": ["echo begun; sleep 300"]}))
    with working(version):
        begun = time.monotonic()
        assert docker_engine.containers()
        build_requests.end(Build.objects.get(), BuildStatus.FAILED)
    assert time.monotonic() - begun < 15
    wait_until(lambda: docker_engine.containers() == [], 10, "the end of the step")
    assert state(version) == BuildStatus.FAILED and not version.image


def test_a_silent_step_times_out(base, settings):
    settings.BUILD_SILENCE = 1
    service({"base": base, "run": ["echo begun; sleep 300"]})
    version, row = built()
    assert version.status == BuildStatus.TIMEOUT and "printed nothing for 1 s" in row.detail
    assert "sleep 300" in row.detail and "begun" in row.log


def test_a_talking_step_times_out(base, settings):
    settings.BUILD_TIMEOUT = 4
    service({"base": base, "run": ["while true; do echo alive; sleep 0.2; done"]})
    version, row = built()
    assert version.status == BuildStatus.TIMEOUT and "longer than 4 s" in row.detail


def test_a_killed_engine_ends_the_build_which_is_built_again(base, configure, docker_engine, tmp_path_factory):
    from tests.lab.docker import Dockerd

    folder = Path(tempfile.mkdtemp(prefix="dk-", dir="/tmp"))
    with Dockerd(folder) as mortal:
        configure(mortal)
        shop = service({"base": base, "run": ["echo begun; sleep 300"]})
        version = pending(shop)
        with working(version):
            mortal.kill()
        row = Build.objects.get()
        assert state(version) == BuildStatus.FAILED and row.detail_code == "engine_lost", row.detail
        assert "sleep 300" in row.detail and "broke off" in row.detail
        mortal.start()
        shop.recipe = {"base": base, "run": ["echo begun"]}
        shop.save()
        build_requests.start(ANN, version, again=True)
        execution.work()
        assert state(version) == BuildStatus.SUCCESS


def test_an_engine_that_is_away_is_tried_again(base, configure, docker_engine):
    configure(url="tcp://127.0.0.1:9")
    service({"base": base, "run": ["true"]})
    _version, row = built()
    assert row.status == BuildStatus.PENDING and row.silences == 1 and row.due > timezone.now()
    assert "127.0.0.1:9" in row.detail


def test_a_registry_that_takes_no_push(configure, tmp_path):
    with ImageRegistry(tmp_path / "closed", users={"robot$ci": WORD}, readonly=True) as closed:
        configure(at=closed)
        service({"base": "scratch", "files": [{"path": "/x", "text": "y"}]})
        version, row = built()
    assert version.status == BuildStatus.FAILED and row.detail_code == "image_push_failed", row.detail
    assert not version.image and WORD not in row.detail + row.log


def test_settings_that_were_removed_since(base):
    version = pending(service({"base": base, "run": ["true"]}))
    build_requests.start(ANN, version)
    Setting.objects.create(document=Secret("{}"))
    execution.work()
    assert state(version) == BuildStatus.FAILED
    assert Build.objects.get().detail_code == "not_configured.integration"


@pytest.mark.parametrize("missing", ["docker", "registry"])
def test_without_an_engine_or_a_registry_nothing_is_requested(api, missing):
    saved = {"docker": {"url": "tcp://127.0.0.1:9"}, "registry": {"url": "https://127.0.0.1:9"}}
    saved.pop(missing)
    Setting.objects.create(document=Secret(json.dumps(saved)))
    version = pending(service({"base": "debian:12", "run": ["true"]}))
    answer = ask(api(), version)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_configured")
    assert f"/settings/#{missing}" in answer.json()["hint"]


def test_without_a_recipe_nothing_is_requested(api):
    answer = ask(api(), pending(service({})))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_configured")


def test_a_killed_worker_leaves_no_step_and_another_builds_it(base, docker_engine, worker):
    version = pending(service({"base": base, "run": ["echo begun; sleep 6"]}))
    build_requests.start(ANN, version)
    one = worker(OPERATION_LEASE_SECONDS="10", SWEEP_INTERVAL="1")
    wait_for_step(version, 60)
    os.kill(one.pid, signal.SIGKILL)
    wait_until(lambda: docker_engine.containers() == [], 3, "the end of the step with its worker")
    one.kill()
    worker(OPERATION_LEASE_SECONDS="10", SWEEP_INTERVAL="1")
    wait_until(lambda: state(version) == BuildStatus.SUCCESS, 60, "the build by another worker")
    assert Build.objects.get().takeovers == 1


def test_a_frozen_worker_leaves_no_step_behind(base, docker_engine, worker):
    """Another worker may begin once its lease has run out, so its connection must be closed before."""
    version = pending(service({"base": base, "run": ["echo begun; sleep 300"]}))
    build_requests.start(ANN, version)
    frozen = worker(OPERATION_LEASE_SECONDS="10")
    wait_for_step(version, 60)
    os.kill(frozen.pid, signal.SIGSTOP)
    wait_until(lambda: docker_engine.containers() == [], 11, "the end of the step before that of the lease")
