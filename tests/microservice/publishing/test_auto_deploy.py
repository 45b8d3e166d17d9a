"""What follows a published version: one deployment of all instances with the service's tag that run an older one."""

import pytest

from access.problems import Problem
from microservice.deployments import actions
from microservice.deployments.version_change import VersionChange
from microservice.models import Deployment, MicroServiceInstance
from microservice.publishing.auto_deploy import build_ended
from microservice.status import Action
from tests.microservice.deployments.requests import ANN, mark_bad

pytestmark = pytest.mark.django_db


@pytest.fixture
def following(shop):
    """One instance of 1.0, one of 2.0, and one of the newer 4.0, which is bad; 3.0 is about to be published."""
    shop.service.auto_deploy_tag = "canary"
    shop.service.save()
    for row, version in zip(shop.instances, (shop.versions[0], shop.versions[1], shop.versions[3]), strict=True):
        row.version, row.tag = version, "canary"
        row.save()
    mark_bad(shop.versions[3])
    return shop


def test_one_deployment_takes_all_that_run_older_versions(following):
    build_ended(following.versions[2])
    deployment = Deployment.objects.get()
    assert (deployment.action, deployment.requested_by) == ("deploy", "auto_deploy")
    rows = deployment.operations.order_by("instance_id").values_list("instance", "action", "from_version__version")
    old, older, _ = following.instances
    assert list(rows) == [(old.pk, "upgrade", "1.0"), (older.pk, "upgrade", "2.0")]


def test_nothing_follows_where_all_are_there(following):
    MicroServiceInstance.objects.update(version=following.versions[2])
    build_ended(following.versions[2])
    assert not Deployment.objects.exists()


def test_it_never_goes_back(following):
    """An instance that was taken to a newer version since it was found."""
    change = VersionChange(
        service=following.service,
        action=Action.DEPLOY,
        dest_version=following.versions[2].pk,
        instances=(following.instances[2].pk,),
        upgrades_only=True,
    )
    with pytest.raises(Problem) as caught:
        actions.deploy(ANN, change)
    assert caught.value.code == "concurrent_update"
    assert not MicroServiceInstance.objects.filter(locked=True).exists()
