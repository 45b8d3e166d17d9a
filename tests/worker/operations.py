"""Deployments to claim from, and what a worker reports of their operations."""

import time
from datetime import timedelta

from django.utils import timezone

from access.callers import SYSTEM
from deployer.engine.journal import JournalEvent, Kind
from microservice.models import Deployment, Operation
from microservice.status import OperationStatus
from tests import factories
from tests.lab.busy import within
from tests.microservice.deployments.requests import change_version
from worker.results import OperationResult


def upgrade(count=3, name="shop", **more) -> Deployment:
    service = factories.service(name)
    old, new = factories.versions(service, 2)
    factories.instances(old, factories.hosts(count, prefix=name))
    return change_version(SYSTEM, old, new.pk, "upgrade", host="all", **more)


def done(claim, **more) -> OperationResult:
    return OperationResult(claim.operation, more.pop("status", OperationStatus.SUCCEEDED), **more)


def event(kind=Kind.DONE, position=0, **more):
    return JournalEvent(
        **{
            "seq": 1,
            "at": 1e9,
            "kind": kind,
            "position": position,
            "step": "link",
            "old_state": "",
            "new_state": "",
            "exit_status": None,
            "detail": "",
            **more,
        }
    )


def lapse():
    Operation.objects.filter(status=OperationStatus.RUNNING).update(lease=timezone.now() - timedelta(seconds=1))


def wait_for(condition, seconds):
    """Return the condition's first true value; False when the time is over."""
    deadline = time.monotonic() + within(seconds)
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.02)
    return False
