"""Hosts that come into another environment while something is asked for them, on both databases."""

import threading

import pytest
from django.db import connections

from access.callers import SYSTEM
from access.problems import Problem
from asset import environments, hosts
from asset.models import Asset, Environment
from microservice.deployments import actions
from microservice.deployments.installs import Installation
from microservice.deployments.version_change import VersionChange
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import Action
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 12
REFUSALS = {"", "host_in_use", "concurrent_update"}


def race(*calls) -> list[str]:
    """Run the calls at the same moment. Return how each ended, in no order: "" or the code of its refusal."""
    start, answers = threading.Barrier(len(calls)), []

    def ask(call) -> None:
        start.wait()
        try:
            call()
            answers.append("")
        except Problem as problem:
            answers.append(problem.code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("kind", ["deploy", "install"])
@pytest.mark.parametrize("way", ["one", "many"])
def test_no_deployment_goes_beyond_its_environment(store, kind, way):
    """Whichever is first: the host is not moved, the request is refused, or it is of the environment the host is in."""
    old, new = factories.versions(factories.service(), 2)
    host = factories.hosts()[0]
    staging, production = (Environment.objects.create(name=name) for name in ("staging", "production"))
    deploy = VersionChange(service=old.microservice, action=Action.DEPLOY, dest_version=new.pk, host=(host.pk,))
    install = Installation(version=old, host=(host.pk,))
    seen = set()
    for _ in range(ROUNDS):
        Asset.objects.filter(pk=host.pk).update(environment=staging)
        if kind == "deploy":
            factories.instances(old, [host])
        asks = (
            (lambda: actions.deploy(SYSTEM, deploy)) if kind == "deploy" else (lambda: actions.install(SYSTEM, install))
        )
        moves = (
            (lambda: hosts.change(SYSTEM, Asset.objects.get(pk=host.pk), {"environment_id": production.pk}))
            if way == "one"
            else (lambda: environments.place(SYSTEM, production, [host.pk]))
        )
        answers = race(asks, moves)
        assert set(answers) <= REFUSALS and "" in answers, answers
        host.refresh_from_db()
        assert [row.environment for row in Deployment.objects.all()] in ([], [host.environment])
        seen |= set(answers)
        Operation.objects.all().delete()
        MicroServiceInstance.objects.all().delete()
        Deployment.objects.all().delete()
    assert seen - {""}, "they never met"
