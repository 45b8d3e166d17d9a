"""The cost of many instances: a fixed number of statements, which read about as many rows as there are."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.callers import SYSTEM
from microservice.deployments import actions
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories
from tests.microservice.deployments.requests import change_version, revert

pytestmark = pytest.mark.django_db
MANY = 300
READS = (
    "SELECT sum(coalesce(idx_tup_fetch, 0) + seq_tup_read) FROM pg_stat_xact_user_tables "
    "WHERE relname IN ('operation', 'micro_service_instance')"
)


class Cost:
    """Of what runs inside: `statements`, and on PostgreSQL `reads`, the rows that they looked at."""

    def __enter__(self):
        if connection.vendor == "postgresql":
            # What autovacuum found meanwhile does not count the rows of this transaction: it would plan for none.
            connection.cursor().execute("ANALYZE operation, micro_service_instance")
        self._before, self._captured = self._rows(), CaptureQueriesContext(connection)
        self._captured.__enter__()
        return self

    def __exit__(self, *error):
        self._captured.__exit__(*error)
        self.statements, self.reads = len(self._captured), self._rows() - self._before

    def _rows(self) -> int:
        """So far in this transaction. Only PostgreSQL counts them, and only its planner could choose so badly."""
        if connection.vendor != "postgresql":
            return 0
        with connection.cursor() as cursor:
            cursor.execute(READS)
            return cursor.fetchone()[0]


def running(version, count):
    hosts = factories.hosts(count, prefix=f"{version.microservice.name}-")
    rows = [
        MicroServiceInstance(
            microservice=version.microservice, version=version, host=host, status=InstanceStatus.RUNNING
        )
        for host in hosts
    ]
    MicroServiceInstance.objects.bulk_create(rows)


def costs(count):
    """Return [(request, its cost)]: an upgrade, a cancel, a retry of all and a revert of all, on `count` instances."""
    old, new = factories.versions(factories.service(f"of-{count}"), 2)
    running(old, count)
    service, found = old.microservice, []

    def cost_of(what, act):
        with Cost() as cost:
            made = act()
        found.append((what, cost))
        return made

    made = cost_of("upgrade", lambda: change_version(SYSTEM, old, new.pk, Action.UPGRADE, host="all"))
    cost_of("cancel", lambda: actions.cancel(SYSTEM, made))
    again = cost_of("retry", lambda: _of_ended(made, OperationStatus.UNDONE, actions.retry))
    assert set(service.instances.values_list("status", "locked")) == {(InstanceStatus.UPGRADING, True)}
    cost_of("cancel of the retry", lambda: actions.cancel(SYSTEM, again))
    assert set(service.instances.values_list("status", "locked")) == {(InstanceStatus.RUNNING, False)}
    service.instances.update(version=new)
    back = cost_of("revert", lambda: _of_ended(made, OperationStatus.SUCCEEDED, revert))
    assert back.operations.count() == count
    assert set(service.instances.values_list("status", "locked")) == {(InstanceStatus.REVERTING, True)}
    return found


def _of_ended(origin, status, act):
    Operation.objects.filter(deployment=origin).update(status=status)
    Deployment.objects.filter(pk=origin.pk).update(status=DeploymentStatus.FAILED)
    origin.refresh_from_db()
    return act(SYSTEM, origin)


def test_statements_of_three_and_three_hundred():
    few, many = costs(3), costs(MANY)
    assert [cost.statements for _, cost in many] == [cost.statements for _, cost in few]
    square = {what: cost.reads for what, cost in many if cost.reads > 25 * MANY}
    assert not square  # one that looks at half of all for each would read 45,000
