"""A deployment stays within one environment, whatever kind it is and however its targets are chosen."""

from dataclasses import replace

import pytest
from django.utils import timezone

from access.callers import SYSTEM, Caller
from access.problems import Problem
from asset import environments
from asset.models import Asset, Environment
from asset.strategy import ALL_AT_ONCE, OnFailure, Strategy
from microservice.deployments import actions, create
from microservice.deployments.delete_retries import retry_failed_deletes
from microservice.deployments.installs import Installation
from microservice.deployments.reverts import DeploymentRevert, auto_revert
from microservice.deployments.version_change import VersionChange
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.publishing import auto_deploy
from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories

pytestmark = pytest.mark.django_db
WHO = Caller(name="ann", scopes=frozenset({"read", "deploy"}))


@pytest.fixture
def shop(db, store):
    """Return a service with four versions, and six instances of the second: two in each environment, two in none."""
    service = factories.service()
    versions = factories.versions(service, 4)
    hosts = factories.hosts(6)
    staging, production = (
        Environment.objects.create(name=name, position=place) for place, name in enumerate(("staging", "production"))
    )
    Asset.objects.filter(pk__in=[host.pk for host in hosts[:2]]).update(environment=staging)
    Asset.objects.filter(pk__in=[host.pk for host in hosts[2:4]]).update(environment=production)
    return factories.Shop(service, versions, factories.instances(versions[1], hosts))


def change(shop, action=Action.DEPLOY, to=3, **more) -> VersionChange:
    version = None if action == Action.DEPLOY else shop.versions[1]
    named = {} if {"host", "instances", "labels"} & set(more) else {"host": "all"}
    return VersionChange(
        service=shop.service, action=action, version=version, dest_version=shop.versions[to].pk, **named, **more
    )


def ask(change: VersionChange) -> Deployment:
    start = actions.deploy if change.action == Action.DEPLOY else actions.change_version
    actions.preview(WHO, change)  # what is refused is refused alike
    return start(WHO, change)


def refused(call, *values) -> Problem:
    before = Deployment.objects.count()
    with pytest.raises(Problem) as caught:
        call(*values)
    assert Deployment.objects.count() == before
    return caught.value


def both_refused(asked: VersionChange) -> Problem:
    shown = refused(actions.preview, WHO, asked)
    start = actions.deploy if asked.action == Action.DEPLOY else actions.change_version
    problem = refused(start, WHO, asked)
    assert (problem.detail, problem.status) == (shown.detail, shown.status)
    return problem


def taken(deployment: Deployment) -> list[int]:
    return list(deployment.operations.order_by("instance").values_list("instance", flat=True))


@pytest.mark.parametrize(("action", "to"), [(Action.DEPLOY, 3), (Action.UPGRADE, 2), (Action.REVERT, 0)])
def test_all_needs_an_environment(shop, action, to):
    problem = both_refused(change(shop, action, to))
    assert problem.status == 422 and problem.errors[0]["pointer"] == "/environment"
    assert "staging, production, no environment" in problem.detail
    for named, part in (("staging", slice(0, 2)), (Environment.objects.get(name="production").pk, slice(2, 4))):
        made = ask(change(shop, action, to, environment=named))
        assert taken(made) == [row.pk for row in shop.instances[part]]
        assert made.environment == Asset.objects.get(pk=shop.instances[part][0].host_id).environment
    made = ask(change(shop, action, to, environment=""))
    assert (taken(made), made.environment) == ([row.pk for row in shop.instances[4:]], None)


def test_all_asks_for_one_also_where_only_one_has_something_to_do(shop):
    """Otherwise the second of two deploys of a job would go from staging on to production by itself."""
    ask(change(shop, environment="staging"))
    Operation.objects.all().update(status=OperationStatus.SUCCEEDED)
    MicroServiceInstance.objects.filter(locked=True).update(
        version=shop.versions[3], locked=False, lock_deployment=None, status=InstanceStatus.RUNNING
    )
    MicroServiceInstance.objects.filter(pk__in=[row.pk for row in shop.instances[4:]]).delete()
    assert both_refused(change(shop)).errors[0]["code"] == "environment_required"
    assert actions.deploy(WHO, change(shop, environment="staging")) is None


def test_hosts_that_are_named_are_in_one(shop):
    hosts = [row.host_id for row in shop.instances]
    for more in ({"host": tuple(hosts[1:3])}, {"instances": tuple(row.pk for row in shop.instances[3:5])}):
        problem = both_refused(change(shop, **more))
        (pointer,) = more
        assert (problem.status, problem.errors[0]["pointer"]) == (422, f"/{pointer}")
        assert problem.errors[0]["code"] == "several_environments"
    made = ask(change(shop, host=tuple(hosts[:2])))
    assert made.environment.name == "staging"


def test_hosts_that_are_named_are_in_the_one_that_is_named(shop):
    hosts = [row.host_id for row in shop.instances]
    problem = both_refused(change(shop, host=tuple(hosts[1:3]), environment="staging"))
    assert problem.status == 422 and [error["host_id"] for error in problem.errors] == [hosts[2]]
    name = shop.instances[2].host.hostname
    assert problem.detail == f"Host {name} is in production, and not in staging."
    assert ask(change(shop, host=tuple(hosts[:2]), environment="staging")).environment.name == "staging"


def test_labels_are_limited_to_it(shop):
    Asset.objects.update(labels={"zone": "eu"})
    assert both_refused(change(shop, labels={"zone": "eu"})).errors[0]["pointer"] == "/environment"
    made = ask(change(shop, labels={"zone": "eu"}, environment="production"))
    assert taken(made) == [row.pk for row in shop.instances[2:4]]


@pytest.mark.parametrize("named", ["nowhere", 9999, -1, 10**30, "x\0", " "])
def test_an_unknown_one_is_refused(shop, named):
    problem = both_refused(change(shop, environment=named))
    assert (problem.status, problem.errors[0]["pointer"]) == (422, "/environment")


def test_one_without_instances_has_nothing_to_do(shop):
    Environment.objects.create(name="abroad")
    assert both_refused(change(shop, environment="abroad")).code == "nothing_to_do"


def test_nothing_is_asked_where_there_are_none(shop):
    Asset.objects.update(environment=None)
    Environment.objects.all().delete()
    assert len(taken(ask(change(shop)))) == 6


def test_an_install_stays_within_one(shop):
    for host, name in zip(factories.hosts(3, prefix="new"), ("staging", "staging", "production"), strict=True):
        Asset.objects.filter(pk=host.pk).update(environment=Environment.objects.get(name=name), labels={"new": "1"})
    named = tuple(Asset.objects.filter(labels__has_key="new").order_by("pk").values_list("hostname", flat=True))

    def installation(**more) -> Installation:
        return Installation(version=shop.versions[1], **more)

    for call in (actions.preview_install, actions.install):
        problem = refused(call, WHO, installation(host=named))
        assert (problem.status, problem.errors[0]["pointer"]) == (422, "/host")
        problem = refused(call, WHO, installation(host=named, environment="staging"))
        assert problem.errors[0]["params"]["host"] == named[2]
        problem = refused(call, WHO, installation(labels={"new": None}))
        assert problem.errors[0]["pointer"] == "/environment"
    assert actions.preview_install(WHO, installation(host=named[:2])).as_json()["environment"] == "staging"
    made = actions.install(WHO, installation(labels={"new": None}, environment="staging"))
    assert made.environment.name == "staging" and made.operations.count() == 2


def test_an_install_that_skips_asks_for_one_although_only_one_is_left(shop):
    """The hosts that have the service already count: what is missing elsewhere is not installed by itself."""
    host = factories.hosts(1, prefix="new")[0]
    Asset.objects.filter(pk=host.pk).update(environment=Environment.objects.get(name="production"))
    Asset.objects.update(labels={"app": "shop"})
    installation = Installation(version=shop.versions[1], labels={"app": "shop"}, skip_installed=True)
    assert refused(actions.install_missing, WHO, installation).errors[0]["code"] == "environment_required"


def ended(shop, part=slice(0, 6), status=OperationStatus.SUCCEEDED, action=Action.UPGRADE) -> Deployment:
    """Make a deployment of some instances that has ended."""
    made = factories.deployment(shop.instances[part], shop.versions[3], DeploymentStatus.FAILED, status, action)
    for operation in made.operations.all():
        new = shop.versions[3] if status == OperationStatus.SUCCEEDED else shop.versions[1]
        failed = InstanceStatus.RUNNING if status == OperationStatus.SUCCEEDED else InstanceStatus.UPGRADE_FAILED
        MicroServiceInstance.objects.filter(pk=operation.instance_id).update(
            version=new, status=failed, last_operation=operation
        )
    return made


def test_a_revert_stays_within_one(shop):
    origin = ended(shop)
    problem = refused(actions.revert, WHO, DeploymentRevert(origin=origin))
    assert problem.errors[0]["pointer"] == "/environment"
    made = actions.revert(WHO, DeploymentRevert(origin=origin, environment="production"))
    assert made.environment.name == "production" and taken(made) == [row.pk for row in shop.instances[2:4]]


def test_a_strategy_s_own_revert_goes_wherever_its_hosts_are_by_now(shop):
    origin = ended(shop, slice(0, 4))
    origin.environment = Environment.objects.get(name="staging")
    origin.save()
    made = auto_revert(origin, OnFailure.REVERT_ALL)
    assert made.environment.name == "staging" and made.operations.count() == 4


def test_a_retry_stays_within_one(shop):
    origin = ended(shop, status=OperationStatus.FAILED)
    assert refused(actions.retry, WHO, origin).errors[0]["code"] == "environment_required"
    ids = tuple(row.pk for row in shop.instances)
    assert refused(actions.retry_instances, WHO, shop.service, ids).errors[0]["pointer"] == "/instances"
    assert actions.retry_instances(WHO, shop.service, ids[:2]).environment.name == "staging"


def test_a_delete_stays_within_one(shop):
    ids = tuple(row.pk for row in shop.instances)
    assert refused(actions.delete, WHO, shop.service, ids).errors[0]["pointer"] == "/instances"
    assert actions.delete(WHO, shop.service, ids[2:4]).environment.name == "production"


@pytest.mark.parametrize(("action", "to"), [(Action.DEPLOY, 3), (Action.UPGRADE, 2), (Action.REVERT, 0)])
def test_its_strategy_goes_before_the_service_s_and_after_the_request_s(shop, action, to):
    shop.service.default_strategy = Strategy(batch_size=7).to_json()
    Environment.objects.filter(name="production").update(default_strategy=Strategy(canary=1).to_json())
    asked = [change(shop, action, to, environment=name) for name in ("staging", "production", "")]
    asked[2] = replace(asked[2], strategy=ALL_AT_ONCE)
    found = [Strategy.from_row(ask(one).strategy) for one in asked]
    assert found == [Strategy(batch_size=7), Strategy(canary=1), ALL_AT_ONCE]


def test_what_a_build_starts_is_one_deployment_for_each(shop):
    shop.service.auto_deploy_tag = "edge"
    shop.service.save()
    MicroServiceInstance.objects.update(tag="edge")
    auto_deploy.build_ended(shop.versions[3])
    made = {row.environment and row.environment.name: row.operations.count() for row in Deployment.objects.all()}
    assert made == {"staging": 2, "production": 2, None: 2}


@pytest.mark.parametrize("kind", ["deploy", "install"])
def test_a_host_that_moves_between_look_up_and_lock_is_noticed(shop, kind, monkeypatch):
    """Moved by another request after the targets were looked up and before they are locked."""
    production = Environment.objects.get(name="production")
    new = factories.hosts(1, prefix="new")[0]
    Asset.objects.filter(pk=new.pk).update(environment=Environment.objects.get(name="staging"))
    moving = new.pk if kind == "install" else shop.instances[0].host_id
    spec_of = create.atoms.spec_of

    def moves(service):
        Asset.objects.filter(pk=moving).update(environment=production)
        return spec_of(service)

    monkeypatch.setattr(create.atoms, "spec_of", moves)  # part of saving the request, which is before the locks
    if kind == "install":
        call, asked = actions.install, Installation(version=shop.versions[1], host=(new.hostname,))
    else:
        call, asked = actions.deploy, change(shop, instances=(shop.instances[0].pk, shop.instances[1].pk))
    problem = refused(call, WHO, asked)
    assert (problem.status, problem.code) == (409, "concurrent_update")
    assert not MicroServiceInstance.objects.filter(locked=True).exists()


def test_a_plan_is_of_its_environment(shop):
    """The same hosts in another environment are not what was shown."""
    asked = change(shop, instances=tuple(row.pk for row in shop.instances[:2]))
    token = actions.preview(WHO, asked).token
    environments.place(SYSTEM, Environment.objects.get(name="production"), [row.host_id for row in shop.instances[:2]])
    assert refused(actions.deploy, WHO, replace(asked, plan_token=token)).code == "plan_changed"


def test_failed_deletes_are_retried_in_every_environment(shop):
    ended(shop, status=OperationStatus.FAILED, action=Action.DELETE)
    MicroServiceInstance.objects.update(status=InstanceStatus.DELETE_FAILED, retry_at=timezone.now())
    assert retry_failed_deletes() == 6
    assert {row.environment and row.environment.name for row in Deployment.objects.filter(action=Action.RETRY)} == {
        "staging",
        "production",
        None,
    }
