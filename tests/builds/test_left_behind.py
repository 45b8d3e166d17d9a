"""A build that its worker left behind is ended before the next one begins: nothing of two builds lives at one time."""

import contextlib
import os
import signal
import threading
import time

import pytest
from django.db import connection, connections

from access.callers import SYSTEM
from builds import build_requests, servers
from builds.models import Build
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories
from tests.lab import processes
from tests.lab.network import wait_until

from .repository import Repository
from .test_sandbox import running

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]  # real workers
LEASE = 10  # seconds


@pytest.fixture
def mark():
    return f"300.{os.getpid()}{time.monotonic_ns() % 10**6}"


@pytest.fixture
def start(worker, tmp_path, monkeypatch):
    """`start(command)` returns a version whose build was requested, `start.worker()` a worker that builds it."""
    monkeypatch.setattr(servers, "check", lambda service: None)
    repository = Repository(tmp_path / "repository")

    def begin(command: str) -> MicroServiceVersion:
        service = factories.service("shop", build_url=repository.url, build_command=command)
        version = MicroServiceVersion.objects.create(microservice=service, version="1.0")
        build_requests.start(SYSTEM, version)
        return version

    def one(sandbox: str, **more: str):
        return worker(GIT_ALLOWED_PROTOCOLS="file", OPERATION_LEASE_SECONDS=str(LEASE), BUILD_SANDBOX=sandbox, **more)

    begin.worker = one
    return begin


@contextlib.contextmanager
def database_held():
    """Keep every other process from writing a build, as if it were cut off."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("BEGIN EXCLUSIVE")
        else:
            cursor.execute("BEGIN")
            # Silent sessions of the product are ended, by a sweep and by the server: this one is somebody else's.
            cursor.execute("SET LOCAL application_name = 'psql'; SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("LOCK TABLE build IN ACCESS EXCLUSIVE MODE")
        yield
        cursor.execute("ROLLBACK")


class Watch:
    """Count the builds that run at one time, by the first `sleep` of each, from beside."""

    def __init__(self, mark: str):
        self._counts, self._mark, self._stopped = {0}, mark, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        connections.close_all()

    @property
    def most(self) -> int:
        return max(self._counts)

    def look(self) -> list[int]:
        """What a test waits for must have counted: it ends the watch once it has seen it."""
        found = running(self._mark)
        self._counts.add(len(found))
        return found

    def _run(self) -> None:
        while not self._stopped.wait(0.02):
            self.look()


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_build_of_a_frozen_worker_ends_before_the_next_begins(start, mark, sandbox):
    """Frozen: its build is not. It ends by itself before its lease has run out, and the worker stores nothing later."""
    start(f"setsid sleep {mark}; echo built > app")
    first = start.worker(sandbox)
    wait_until(lambda: running(mark), 60, "the build having begun")
    with Watch(mark) as watch:
        os.kill(first.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: not watch.look(), LEASE + 1, "its build having ended without it")
            start.worker(sandbox)
            wait_until(watch.look, 60, "the build having begun once more")
        finally:
            os.kill(first.pid, signal.SIGCONT)
        first.wait_for("its lease ran out")
        time.sleep(2)
    assert watch.most == 1 and running(mark)
    build = Build.objects.get()
    assert (build.status, build.takeovers) == (BuildStatus.BUILDING, 1)


def freeze(pid: int, spared: list[int]) -> list[int]:
    """Stop a process and those below it; return their ids. Parents first: a stopped one starts no others."""
    if pid in spared:
        return []
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:  # one of the guardian's short sleeps
        return []
    return [pid, *(below for child in processes.children(pid) for below in freeze(child, spared))]


def test_successor_ends_what_was_left_on_its_machine(start, mark):
    """The first worker and what guards its build are frozen: only the second worker can end it."""
    start(f"sleep {mark}; echo built > app")
    first = start.worker("off")
    wait_until(lambda: running(mark), 60, "the build having begun")
    left = running(mark)
    with Watch(mark) as watch:
        frozen = freeze(first.pid, left)
        try:
            start.worker("off")
            wait_until(lambda: set(watch.look()) - set(left), 60, "the build having begun once more")
        finally:
            for pid in frozen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
    assert watch.most == 1


def test_worker_without_its_database_ends_its_build(start, mark):
    start(f"sleep {mark}; echo built > app")
    start.worker("auto")
    wait_until(lambda: running(mark), 60, "the build having begun")
    with database_held():
        wait_until(lambda: not running(mark), LEASE + 1, "the build having ended before its lease")
    wait_until(lambda: running(mark), 60, "the build having begun once more")
    assert Build.objects.get().takeovers == 0, "its worker has lived on"


def test_stopped_worker_hands_its_build_over_at_once(start, mark):
    start(f"sleep {mark}; echo built > app")
    first = start.worker("auto")
    wait_until(lambda: running(mark), 60, "the build having begun")
    os.kill(first.pid, signal.SIGTERM)
    wait_until(lambda: not first.running(), 10, "the worker having ended")
    build = Build.objects.get()
    assert (running(mark), build.owner, build.lease, build.takeovers) == ([], "", None, 0)
    start.worker("auto")
    wait_until(lambda: running(mark), 5, "the build having begun once more")
    assert Build.objects.get().takeovers == 0
