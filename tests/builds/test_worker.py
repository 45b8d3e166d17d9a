"""A build by a real worker process, and by another one after the first was killed."""

import os
import signal

import pytest

from access.callers import SYSTEM
from builds import build_requests, servers
from builds.models import Build
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories
from tests.lab.network import wait_until

from .repository import Repository
from .test_sandbox import gone, running

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]  # two workers start in it


@pytest.mark.found("builds")
@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_survives_a_killed_worker_without_overlap(worker, tmp_path, monkeypatch, sandbox):
    """What the first worker's build started, in a session of its own too, is gone before another one may begin."""
    repository, mark = Repository(tmp_path / "repository"), f"20.{os.getpid()}"
    command = f"setsid sleep {mark} & sleep {mark}; echo built"
    service = factories.service("shop", build_url=repository.url, build_command=command)
    version = MicroServiceVersion.objects.create(microservice=service, version="1.0")
    monkeypatch.setattr(servers, "check", lambda service: None)
    one = worker(GIT_ALLOWED_PROTOCOLS="file", OPERATION_LEASE_SECONDS="10", BUILD_SANDBOX=sandbox)
    build_requests.start(SYSTEM, version)
    wait_until(lambda: len(running(mark)) == 2, 90, "the build having begun")
    os.kill(one.pid, signal.SIGKILL)  # the worker alone: what it runs has to end by itself
    wait_until(lambda: gone(mark), 2, "its build having ended with it")
    one.kill()
    worker(GIT_ALLOWED_PROTOCOLS="file", OPERATION_LEASE_SECONDS="10", BUILD_SANDBOX=sandbox)
    wait_until(lambda: running(mark), 90, "the build having begun once more")
    wait_until(lambda: Build.objects.get().status == BuildStatus.SUCCESS, 90, "the build having ended")
    version.refresh_from_db()
    assert (version.status, Build.objects.get().takeovers) == (BuildStatus.SUCCESS, 1)
