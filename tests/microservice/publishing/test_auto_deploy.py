"""What follows a published version: one deployment of the instances in the service's environment, or with its tag, that
run an older one."""

import pytest

from access.problems import Problem
from asset.models import Asset, Environment
from asset.strategy import Strategy
from audit.models import History
from microservice.deployments import actions
from microservice.deployments.version_change import VersionChange
from microservice.models import Deployment, DeploymentRequest, MicroServiceInstance
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


@pytest.fixture
def staging(following):
    """Put the first two of the three hosts into staging; builds go there, to the same instances as with the tag."""
    made = Environment.objects.create(name="staging")
    hosts = [row.host_id for row in following.instances[:2]]
    Asset.objects.filter(pk__in=hosts).update(environment=made)
    following.service.auto_deploy_environment, following.service.auto_deploy_tag = made, ""
    following.service.save()
    return made


def taken() -> list[int]:
    """Return the instances of the only deployment."""
    return list(Deployment.objects.get().operations.order_by("instance").values_list("instance", flat=True))


def test_an_environment_gets_each_new_build(following, staging):
    """Whatever the tags of its instances; one that runs a newer version stays."""
    newer = following.instances[2]
    Asset.objects.filter(pk=newer.host_id).update(environment=staging)
    MicroServiceInstance.objects.update(tag="")
    build_ended(following.versions[2])
    deployment = Deployment.objects.get()
    assert (deployment.action, deployment.environment, deployment.requested_by) == ("deploy", staging, "auto_deploy")
    assert taken() == [row.pk for row in following.instances[:2]] and deployment.skipped == []
    newer.refresh_from_db()
    assert newer.version == following.versions[3] and not newer.locked


def test_with_a_tag_only_its_instances_there(following, staging):
    following.service.auto_deploy_tag = "canary"
    following.service.save()
    MicroServiceInstance.objects.filter(pk=following.instances[0].pk).update(tag="other")
    Asset.objects.filter(pk=following.instances[2].host_id).update(environment=Environment.objects.create(name="prod"))
    MicroServiceInstance.objects.filter(pk=following.instances[2].pk).update(version=following.versions[0])
    build_ended(following.versions[2])
    assert taken() == [following.instances[1].pk] and Deployment.objects.get().environment == staging


@pytest.mark.parametrize("named", [None, Strategy(canary=1)])
def test_by_the_strategy_that_it_names(following, staging, named):
    """Or by the environment's own."""
    staging.default_strategy = Strategy(batch_size=2).to_json()
    staging.save()
    following.service.auto_deploy_strategy = named.to_json() if named else {}
    following.service.save()
    build_ended(following.versions[2])
    assert Strategy.from_row(Deployment.objects.get().strategy) == (named or Strategy(batch_size=2))


def test_only_of_the_branches_that_it_names(following, staging):
    """The newest of these goes there, though a newer one of another branch was built."""
    following.service.auto_deploy_refs = ["main", "release/*"]
    following.service.save()
    third, fourth = following.versions[2:]
    type(fourth).objects.filter(pk=fourth.pk).update(bad=False, ref="feature/x")
    third.ref = "feature/y"
    build_ended(third)
    assert not Deployment.objects.exists()
    third.ref = "release/3"
    build_ended(third)
    assert taken() == [row.pk for row in following.instances[:2]]


def test_a_newer_build_of_such_a_branch_goes_first(following, staging):
    following.service.auto_deploy_refs = ["main"]
    following.service.save()
    third, fourth = following.versions[2:]
    type(fourth).objects.filter(pk=fourth.pk).update(bad=False, ref="main")
    third.ref = "main"
    build_ended(third)
    assert not Deployment.objects.exists()


def test_under_the_rules_of_the_environment(following, staging):
    """What did not run in the environment that it requires does not go there by itself either."""
    staging.requires = Environment.objects.create(name="test")
    staging.save()
    build_ended(following.versions[2])
    assert not Deployment.objects.exists()
    assert not MicroServiceInstance.objects.filter(locked=True).exists()


def test_it_waits_for_a_person_where_tokens_do(following, staging):
    """Automation is no person either. Only the newest build waits: one that is built later takes its place."""
    staging.tokens_deploy = False
    staging.save()
    third, fourth = following.versions[2:]
    build_ended(third)
    first = Deployment.objects.get()
    assert (first.status, first.request.automatic) == ("waiting", True)
    type(fourth).objects.filter(pk=fourth.pk).update(bad=False)
    fourth.bad = False
    build_ended(fourth)
    first.refresh_from_db()
    newer = Deployment.objects.get(dest_version=fourth)
    assert (first.status, first.reason.code) == ("cancelled", "superseded")
    assert (newer.status, DeploymentRequest.objects.get(look_at__isnull=False).deployment) == ("waiting", newer)
    assert History.objects.filter(action="cancel", subject="deployment", subject_id=first.pk).count() == 1


def test_what_a_person_asked_for_is_not_replaced(following, staging):
    staging.approvals = 1
    staging.save()
    third, fourth = following.versions[2:]
    change = VersionChange(
        service=following.service, action=Action.DEPLOY, dest_version=third.pk, host="all", environment="staging"
    )
    waits = actions.deploy(ANN, change)
    DeploymentRequest.objects.update(automatic=False)
    type(fourth).objects.filter(pk=fourth.pk).update(bad=False)
    fourth.bad = False
    build_ended(fourth)
    waits.refresh_from_db()
    assert waits.status == "waiting" and Deployment.objects.filter(status="waiting").count() == 2
