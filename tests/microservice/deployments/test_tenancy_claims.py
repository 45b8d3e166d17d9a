"""Operations on hosts that went to another team between the request and the claim."""

import pytest
from django.db import connection, transaction

from access.callers import SYSTEM
from asset.models import HostTeam
from microservice.deployments import actions, retries
from microservice.models import MicroServiceInstance
from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories
from tests.microservice.deployments.requests import change_version, install
from worker.results import OperationResult

from .two_teams import end_operations, refused

pytestmark = pytest.mark.django_db(transaction=True)


def test_pending_operation_on_closed_host_never_starts(two, batch):
    """Between the request and the claim: the host is red's now, so blue's operation ends, its instance is free and what
    it was; what goes to another host of the same deployment starts."""
    versions = two.versions["blue"]
    lost, kept = two.instance("blue", two.free), two.instance("blue", two.blues)
    made = change_version(SYSTEM, versions[0], versions[1].pk, "upgrade", host="all")
    HostTeam.objects.create(host=two.free, team=two.red)
    claims = batch.claim_many(10)
    assert [claim.operation.instance_id for claim in claims] == [kept.pk]
    operation = made.operations.get(instance=lost)
    assert (operation.status, operation.started) == (OperationStatus.NOT_STARTED, None)
    assert operation.finished and "belongs to other teams" in operation.error
    lost.refresh_from_db()
    assert (lost.locked, lost.status, lost.version_id) == (False, InstanceStatus.RUNNING, versions[0].pk)
    assert batch.finish(OperationResult(claims[0].operation, OperationStatus.SUCCEEDED))
    made.refresh_from_db()
    assert made.status == DeploymentStatus.FAILED


@pytest.mark.parametrize("how", ["the host", "the service"])
def test_deployment_on_closed_hosts_ends(two, batch, how):
    made = install(SYSTEM, two.versions["blue"][0], [two.blues.pk])
    if how == "the host":
        HostTeam.objects.filter(host=two.blues).update(team=two.red)
    else:
        two.service["blue"].team = two.red
        two.service["blue"].save()
    assert batch.claim_many(10) == []
    made.refresh_from_db()
    assert made.status == DeploymentStatus.FAILED and made.operations.get().status == OperationStatus.NOT_STARTED
    instance = MicroServiceInstance.objects.get()
    assert (instance.locked, instance.status) == (False, InstanceStatus.INSTALL_FAILED)
    refused(409, "host_of_another_team", retries.retry_instances, SYSTEM, two.service["blue"], [instance.pk])
    assert actions.delete(SYSTEM, two.service["blue"], [instance.pk]).operations.get().action == Action.DELETE
    assert len(batch.claim_many(10)) == 1


def test_deferred_install_on_closed_host(two):
    old = two.instance("blue", two.blues)
    gone = actions.delete(SYSTEM, two.service["blue"], [old.pk])
    waits = install(SYSTEM, two.versions["blue"][0], [two.blues.pk])
    HostTeam.objects.filter(host=two.blues).update(team=two.red)
    end_operations(gone, OperationStatus.SUCCEEDED)
    operation = waits.operations.get()
    assert operation.status == OperationStatus.NOT_STARTED and two.blues.hostname in operation.error
    assert not MicroServiceInstance.objects.exists()


def test_claim_statements_with_teams(two):
    """Whose the hosts are is part of the question that is asked anyway, however many operations are due."""
    from collections import Counter

    from django.test.utils import CaptureQueriesContext

    from worker.claims import claim

    counts = []
    for name, host in (("nobody", two.free), ("blue", two.blues)):
        for number in range(2):
            more = factories.hosts(5 if number else 1)
            if host is two.blues:
                HostTeam.objects.bulk_create(HostTeam(host=one, team=two.blue) for one in more)
            factories.instances(two.versions[name][0], more)
        versions = two.versions[name]
        change_version(SYSTEM, versions[0], versions[1].pk, "upgrade", host="all")
        with transaction.atomic(), CaptureQueriesContext(connection) as queries:
            claims, _ = claim("w", Counter(), [], 20, 20, "")
        assert len(claims) == 6
        counts.append(len(queries))
    assert counts[0] == counts[1]
