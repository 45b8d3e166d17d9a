"""A worker's hold on a build ends by its own clock, and a late worker changes nothing."""

import threading

import pytest

from builds import build_requests, execution, leases
from builds.leases import Lease, LeaseLost, WorkerStopped
from builds.models import Build
from builds.sandbox.holding import now
from microservice.status import BuildStatus

from .steps import ANN, pending, state

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick")]


@pytest.fixture
def claimed(service):
    build_requests.start(ANN, pending(service))
    return execution.claim()


def test_build_ends_before_its_lease_whatever_the_database_does(claimed, monkeypatch):
    monkeypatch.setattr(leases, "seconds", lambda: 3)
    monkeypatch.setattr(leases, "MARGIN", 2.0)
    monkeypatch.setattr(Lease, "_renew_beside", lambda self: None)  # it waits for the database
    ended = threading.Event()
    begun = now()
    with Lease(claimed) as lease, lease.ending(ended.set):
        assert ended.wait(5)
        assert 0.5 < now() - begun < 3
        for late in (lease.check, lease.renew, lambda: lease.report("x")):
            with pytest.raises(LeaseLost):
                late()


def test_nothing_begins_once_it_is_lost(claimed):
    with Lease(claimed) as lease:
        build_requests.end(claimed, BuildStatus.FAILED)
        with pytest.raises(LeaseLost):
            lease.renew()
        with pytest.raises(LeaseLost), lease.ending(lambda: None):
            raise AssertionError


def test_late_worker_ends_nothing(claimed):
    Build.objects.update(owner="another")
    assert not build_requests.end(claimed, BuildStatus.FAILED, owner=claimed.owner)
    assert state(claimed.version) == BuildStatus.BUILDING


def test_stopped_worker_gives_its_builds_back(claimed, monkeypatch):
    from builds import git_builds

    monkeypatch.setattr(git_builds, "build", lambda row, lease: (leases.lose_all(WorkerStopped()), lease.check()))
    execution.advance(claimed)
    build = Build.objects.get()
    assert (build.owner, build.lease, build.takeovers) == ("", None, 0)
    assert execution.claim().pk == build.pk


def test_only_the_death_of_another_worker_is_a_takeover(claimed):
    Build.objects.update(lease=None)
    assert execution.claim().takeovers == 0, "this process has lived on"
    Build.objects.update(lease=None, owner="host:1:abcdef")
    build = execution.claim()
    assert (build.takeovers, build.previous_owner) == (1, "host:1:abcdef")
