"""A user of team blue tries to reach a host of team red by every way: real hosts, worker and web server."""

import subprocess

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client

from access.models import Membership, Team
from access.tokens import make_token
from asset.models import HostTeam
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.publishing.auto_deploy import build_ended
from microservice.status import DeploymentStatus, OperationStatus
from tests.api.client import Api
from tests.lab.fleet import Fleet
from tests.lab.web import Web

from .process import run_deployctl

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fleet(transactional_db, sshds):
    """h0 is red's, h1 has no team; blue has the service."""
    made = Fleet(sshds(2))
    made.red, made.blue = (Team.objects.create(name=name) for name in ("red", "blue"))
    made.service.team = made.blue
    made.service.auto_deploy_tag = "follow"
    made.service.save()
    HostTeam.objects.create(host=made.assets[0], team=made.red)
    return made


def test_cannot_reach_host_of_another_team(fleet, environment, worker, tmp_path):
    bob = get_user_model().objects.create_user("bob")
    Membership.objects.create(team=fleet.blue, user=bob, role="owner")
    secret = make_token(bob, "ci", ["read", "publish", "deploy", "admin"])[1]
    api, browser, first = Api(secret), Client(), fleet.versions[0]
    browser.force_login(bob)
    with Web(environment, tmp_path / "web.log") as web:

        def ctl(*words: str) -> subprocess.CompletedProcess:
            return run_deployctl(web.url, secret, *words)

        # The command line, by name and by number; the API; the console.
        assert "Host h0 does not exist" in ctl("install", "shop", "1.0", "--host", "h0").stderr
        by_number = ctl("install", "shop", "1.0", "--host", str(fleet.assets[0].pk))
        assert by_number.returncode != 0 and f"Host {fleet.assets[0].pk} does not exist" in by_number.stderr
        answer = api.post(f"/services/shop/versions/{first.pk}/install", {"host": [fleet.assets[0].pk]})
        assert (answer.status_code, answer.json()["code"]) == (422, "wrong_target")
        page = browser.post(f"/services/shop/versions/{first.pk}/install/", {"host": fleet.assets[0].pk, "key": "k"})
        assert page.status_code == 422 and b"h0" not in page.content
        assert not Deployment.objects.exists()
        # A host without a team takes it.
        with_worker = worker()
        done = ctl("install", "shop", "1.0", "--host", "h1", "--tag", "follow", "--wait")
        assert done.returncode == 0, done.stderr
    with_worker.stop()
    _after_it_was_given_away(fleet, api, worker)
    assert not fleet.folder(0).exists()


def _after_it_was_given_away(fleet: Fleet, api: Api, worker) -> None:
    """Request while the host has no team, claim when it is red's; then try again in every way."""
    first, second, third = fleet.versions
    trace, instance = fleet.trace(1), MicroServiceInstance.objects.get()
    answer = api.post(f"/services/shop/versions/{first.pk}/upgrade", {"dest_version": second.pk, "host": "all"})
    assert answer.status_code == 202
    HostTeam.objects.create(host=fleet.assets[1], team=fleet.red)
    worker()
    made = fleet.ended(Deployment.objects.get(pk=answer.json()["id"]))
    assert made.status == DeploymentStatus.FAILED
    assert made.operations.get().status == OperationStatus.NOT_STARTED
    instance.refresh_from_db()
    assert (instance.locked, instance.version) == (False, first)
    count = Operation.objects.count()
    ways = (
        (f"/services/shop/versions/{first.pk}/upgrade", {"dest_version": third.pk, "host": [instance.host_id]}),
        (f"/deployments/{made.pk}/retry", None),
        ("/services/shop/instances/retry", {"instances": [instance.pk]}),
        (f"/deployments/{Deployment.objects.earliest('pk').pk}/retry", None),
    )
    for path, body in ways:
        assert api.post(path, body).status_code == 409, path
    with transaction.atomic():
        build_ended(third)
    assert Operation.objects.count() == count
    assert (fleet.trace(1), fleet.current(1), fleet.running(1)) == (trace, "1.0", "1.0")
    gone = api.post("/services/shop/instances/delete", {"instances": [instance.pk]})
    assert gone.status_code == 202
    assert fleet.ended(Deployment.objects.get(pk=gone.json()["id"])).status == DeploymentStatus.SUCCEEDED
    assert fleet.running(1) == ""
