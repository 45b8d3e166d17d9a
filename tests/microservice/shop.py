"""Requests for deployments of the service `shop` of the fixture: asked for, refused, and ended without a host."""

import pytest

from access.callers import Caller
from access.problems import Problem
from audit.models import History
from microservice import notify
from microservice.deployments import actions
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus

ANN = Caller(name="ann", scopes=frozenset({"deploy"}))


def ask(shop, action="upgrade", host="all", dest=None, caller=ANN, **more):
    service, versions, _ = shop
    dest = dest or (versions[2] if action == "upgrade" else versions[0])
    return actions.request(caller, service, versions[1], action, host, dest.pk, **more)


def refused(status, code, *args, **more):
    """The Problem that a request is refused with; nothing may have changed."""
    before = sorted(MicroServiceInstance.objects.values_list("pk", "locked", "status", "version_id"))
    counts = Deployment.objects.count(), Operation.objects.count(), History.objects.count()
    with pytest.raises(Problem) as caught:
        ask(*args, **more)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert sorted(MicroServiceInstance.objects.values_list("pk", "locked", "status", "version_id")) == before
    assert (Deployment.objects.count(), Operation.objects.count(), History.objects.count()) == counts
    return caught.value


def bad(version):
    version.bad, version.bad_reason = True, "leaks memory"
    version.save()


def let_go():
    MicroServiceInstance.objects.update(locked=False, lock_deployment=None, status=InstanceStatus.UPGRADE_FAILED)


def ended(deployment, status):
    deployment.operations.update(status=status)
    deployment.status = DeploymentStatus.FAILED
    deployment.save()
    let_go()
    return deployment


def end_all(deployment, status, **more):
    """Ends every operation by hand, as the ledger would."""
    from django.db import transaction

    from worker import results

    rows = list(deployment.operations.select_related("deployment"))
    Operation.objects.filter(pk__in=[row.pk for row in rows]).update(status=OperationStatus.RUNNING)
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.RUNNING)
    with transaction.atomic():
        notify.publish(results.record_results([results.OperationResult(row, status, **more) for row in rows]))
    deployment.refresh_from_db()
