"""Two teams with services and hosts, for tests of hosts that belong to teams."""

import pytest
from django.db import transaction

from access.callers import Caller
from access.models import Team
from access.permissions import Rights
from access.problems import Problem
from asset.models import HostTeam
from microservice import notify
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import DeploymentStatus, OperationStatus
from tests import factories
from worker import results
from worker.results import OperationResult

EVERY = frozenset({"read", "publish", "deploy", "admin"})


def member(**roles: str) -> Caller:
    """Return a caller with these roles in teams."""
    teams = {team.pk: roles[team.name] for team in Team.objects.filter(name__in=roles)}
    return Caller(
        name="somebody", user_id=1, scopes=frozenset({"read", "publish", "deploy"}), rights=Rights(teams, EVERY, True)
    )


class TwoTeams:
    """Two teams, each with a service and a host; and a host without a team."""

    def __init__(self):
        self.red, self.blue = (Team.objects.create(name=name) for name in ("red", "blue"))
        self.service = {name: factories.service(f"of-{name}", team=getattr(self, name)) for name in ("red", "blue")}
        self.service["nobody"] = factories.service("of-nobody")
        self.versions = {name: factories.versions(service) for name, service in self.service.items()}
        self.reds, self.blues, self.free = factories.hosts(3)
        HostTeam.objects.create(host=self.reds, team=self.red)
        HostTeam.objects.create(host=self.blues, team=self.blue)

    def instance(self, name: str, host, version: int = 0, **more) -> MicroServiceInstance:
        return factories.instances(self.versions[name][version], [host], **more)[0]


def refused(status: int, code: str, call, *arguments, **more) -> Problem:
    """Return the problem that the call raises; it must change no row and lock nothing."""
    before = Deployment.objects.count(), Operation.objects.count(), MicroServiceInstance.objects.count()
    with pytest.raises(Problem) as caught:
        call(*arguments, **more)
    assert (caught.value.status, caught.value.code) == (status, code), caught.value
    assert (Deployment.objects.count(), Operation.objects.count(), MicroServiceInstance.objects.count()) == before
    assert not MicroServiceInstance.objects.filter(locked=True).exists()
    return caught.value


def end_operations(deployment: Deployment, status, **more) -> None:
    """End every operation of the deployment as the writer does."""
    rows = list(deployment.operations.select_related("deployment", "host"))
    Operation.objects.filter(pk__in=[row.pk for row in rows]).update(status=OperationStatus.RUNNING)
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.RUNNING)
    with transaction.atomic():
        notify.publish(results.record_results([OperationResult(row, status, **more) for row in rows]))
    deployment.refresh_from_db()
