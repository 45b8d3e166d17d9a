"""A version goes to an environment once it ran well in the one that this requires, for so long."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from access.callers import Caller
from access.problems import Problem
from asset import environments
from asset.models import Asset, Environment
from messages.rendering import render
from microservice.deployments import actions, create, deferred_installs, promotion
from microservice.deployments.installs import Installation
from microservice.deployments.promotion import Evidence, evidence, lacks
from microservice.deployments.reverts import DeploymentRevert
from microservice.deployments.version_change import VersionChange
from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion, Operation
from microservice.publishing import auto_deploy
from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories

WHO = Caller(name="ann", scopes=frozenset({"read", "deploy"}))
NOW = datetime(2026, 11, 27, 22, 0, tzinfo=UTC)
PRODUCTION = Environment(name="production", requires=Environment(name="staging"), soak_minutes=30)


# --- pure -------------------------------------------------------------------------------------------------------------


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


@pytest.mark.parametrize(
    ("ran", "code", "says"),
    [
        (None, "not_promoted.never", "it has not run in staging"),
        (Evidence(minutes(-5)), "not_promoted.never", "it has not run in staging"),
        (Evidence(minutes(0), NOW), "not_promoted.soaking", "from 2026-11-27 22:30 UTC on, in 30 min"),
        (
            Evidence(minutes(29.5), NOW - minutes(29.5)),
            "not_promoted.soaking",
            "from 2026-11-27 22:00 UTC on, in 1 min",
        ),
        (Evidence(minutes(29)), "not_promoted.too_short", "for 29 of 30 minutes, and no longer runs there"),
        (Evidence(minutes(30)), None, ""),
        (Evidence(minutes(31), NOW - minutes(3)), None, ""),
    ],
)
def test_what_a_version_lacks(ran, code, says):
    message = lacks(PRODUCTION, MicroServiceVersion(version="3.0"), ran, NOW)
    assert (message.code if message else None) == code
    assert message is None or (says in render(message) and "production" in render(message))


def test_a_bad_one_goes_nowhere():
    ran = Evidence(minutes(1000), NOW - minutes(1000))
    message = lacks(PRODUCTION, MicroServiceVersion(version="3.0", bad=True), ran, NOW)
    assert message.code == "not_promoted.bad"


def test_without_a_soak_time_to_have_run_there_is_enough():
    free = Environment(name="production", requires=Environment(name="staging"))
    assert lacks(free, MicroServiceVersion(version="3.0"), Evidence(minutes(0)), NOW) is None
    assert lacks(free, MicroServiceVersion(version="3.0"), None, NOW).code == "not_promoted.never"


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(db, store):
    """Return a service with four versions; two instances of the second in staging and two in production, which requires
    that a version ran half an hour in staging."""
    service = factories.service()
    versions = factories.versions(service, 4)
    hosts = factories.hosts(4)
    staging = Environment.objects.create(name="staging", position=1)
    production = Environment.objects.create(name="production", position=2, requires=staging, soak_minutes=30)
    Asset.objects.filter(pk__in=[host.pk for host in hosts[:2]]).update(environment=staging)
    Asset.objects.filter(pk__in=[host.pk for host in hosts[2:]]).update(environment=production)
    return factories.Shop(service, versions, factories.instances(versions[1], hosts))


def brought(
    instance: MicroServiceInstance,
    version: MicroServiceVersion,
    ago: float,
    status=OperationStatus.SUCCEEDED,
    action=Action.UPGRADE,
) -> Operation:
    """Record an operation that ended so many minutes ago; a success brought the version."""
    made = factories.deployment([instance], version, DeploymentStatus.SUCCEEDED, status, action).operations.get()
    Operation.objects.filter(pk=made.pk).update(finished=timezone.now() - minutes(ago))
    if status == OperationStatus.SUCCEEDED:
        MicroServiceInstance.objects.filter(pk=instance.pk).update(version=version, last_operation=made)
        instance.refresh_from_db()
    return made


def deploy(shop, to: int, **more) -> Deployment | None:
    change = VersionChange(
        service=shop.service,
        action=Action.DEPLOY,
        dest_version=shop.versions[to].pk,
        **{"host": "all", "environment": "production", **more},
    )
    actions.preview(WHO, change)
    return actions.deploy(WHO, change)


def refusal(call, *values, **more) -> str:
    before = Deployment.objects.count()
    with pytest.raises(Problem) as caught:
        call(*values, **more)
    problem = caught.value
    assert (problem.status, problem.code, len(problem.errors)) == (409, "not_promoted", 1)
    assert Deployment.objects.count() == before
    return problem.message.code.partition(".")[2]


def test_it_has_to_run_there_first(shop):
    assert refusal(deploy, shop, 2) == "never"
    brought(shop.instances[0], shop.versions[2], ago=29)
    assert refusal(deploy, shop, 2) == "soaking"
    brought(shop.instances[1], shop.versions[2], ago=31)
    assert deploy(shop, 2).environment.name == "production"


def test_staging_itself_asks_for_nothing(shop):
    assert deploy(shop, 3, environment="staging").operations.count() == 2


@pytest.mark.parametrize("status", [OperationStatus.FAILED, OperationStatus.UNDONE, OperationStatus.CANCELLED])
def test_a_deployment_that_failed_there_is_none(shop, status):
    brought(shop.instances[0], shop.versions[2], 60, status)
    assert refusal(deploy, shop, 2) == "never"


def test_where_it_ran_before_counts_for_as_long_as_it_did(shop):
    brought(shop.instances[0], shop.versions[2], ago=100)
    brought(shop.instances[0], shop.versions[3], ago=75)
    assert refusal(deploy, shop, 2) == "too_short"
    brought(shop.instances[1], shop.versions[2], ago=100)
    brought(shop.instances[1], shop.versions[3], ago=69)
    assert deploy(shop, 2)


def test_an_upgrade_that_was_undone_does_not_end_its_time(shop):
    brought(shop.instances[0], shop.versions[2], ago=60)
    brought(shop.instances[0], shop.versions[3], 50, OperationStatus.UNDONE)
    assert deploy(shop, 2)


def test_one_whose_undo_failed_ends_it(shop):
    brought(shop.instances[0], shop.versions[2], ago=60)
    brought(shop.instances[0], shop.versions[3], 50, OperationStatus.FAILED)
    assert refusal(deploy, shop, 2) == "too_short"


def test_pieces_of_time_are_not_added(shop):
    for start in (100, 60):
        brought(shop.instances[0], shop.versions[2], ago=start)
        brought(shop.instances[0], shop.versions[3], ago=start - 20)
    assert refusal(deploy, shop, 2) == "too_short"


def test_an_instance_that_was_forgotten_does_not_run_on(shop):
    brought(shop.instances[0], shop.versions[2], ago=60)
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(last_operation=None)
    Operation.objects.filter(instance=shop.instances[0]).update(instance=None)
    assert refusal(deploy, shop, 2) == "too_short"


def test_other_environments_and_services_prove_nothing(shop):
    brought(shop.instances[2], shop.versions[2], ago=60)  # in production
    other = factories.service("other")
    brought(factories.instances(factories.versions(other, 1)[0], [shop.instances[0].host])[0], other.versions.get(), 60)
    MicroServiceInstance.objects.filter(pk=shop.instances[2].pk).update(version=shop.versions[1])
    assert refusal(deploy, shop, 2) == "never"


def test_a_host_counts_from_when_it_came_into_the_environment(shop):
    brought(shop.instances[0], shop.versions[2], ago=60)
    Asset.objects.filter(pk=shop.instances[0].host_id).update(environment_since=timezone.now() - minutes(10))
    assert refusal(deploy, shop, 2) == "soaking"
    Asset.objects.filter(pk=shop.instances[0].host_id).update(environment_since=timezone.now() - minutes(40))
    assert deploy(shop, 2)


def test_what_ran_before_the_host_came_counts_not_at_all(shop):
    brought(shop.instances[0], shop.versions[2], ago=100)
    brought(shop.instances[0], shop.versions[3], ago=20)
    Asset.objects.filter(pk=shop.instances[0].host_id).update(environment_since=timezone.now() - minutes(10))
    assert refusal(deploy, shop, 2) == "never"


def test_a_bad_version_is_refused_also_if_a_person_allows_it(shop):
    brought(shop.instances[0], shop.versions[2], ago=60)
    MicroServiceVersion.objects.filter(pk=shop.versions[2].pk).update(bad=True, bad_reason="leaks")
    person = Caller(name="ann", scopes=frozenset({"read", "deploy"}), user_id=1)
    change = VersionChange(
        service=shop.service,
        action=Action.DEPLOY,
        dest_version=shop.versions[2].pk,
        host="all",
        environment="production",
        allow_bad=True,
    )
    with pytest.raises(Problem) as caught:
        actions.deploy(person, change)
    assert caught.value.message.code in ("not_promoted.bad", "forbidden.version_bad")


def test_a_revert_is_never_held_up(shop):
    change = VersionChange(
        service=shop.service,
        action=Action.REVERT,
        version=shop.versions[1],
        dest_version=shop.versions[0].pk,
        host="all",
        environment="production",
    )
    assert actions.change_version(WHO, change).operations.count() == 2


def test_neither_is_a_deploy_that_only_goes_back(shop):
    assert deploy(shop, 0).operations.count() == 2


def test_a_deploy_that_goes_back_and_forth_is(shop):
    MicroServiceInstance.objects.filter(pk=shop.instances[3].pk).update(version=shop.versions[3])
    assert refusal(deploy, shop, 2) == "never"


def test_a_deploy_that_went_back_takes_nothing_forth_that_came_meanwhile(shop, monkeypatch):
    """Reverted by somebody else between the look at what runs and the lock: it would be an upgrade now."""
    MicroServiceInstance.objects.filter(pk=shop.instances[3].pk).update(version=shop.versions[3])
    MicroServiceInstance.objects.filter(pk=shop.instances[2].pk).update(version=shop.versions[3])
    spec_of = create.atoms.spec_of

    def reverts(service):
        MicroServiceInstance.objects.filter(pk=shop.instances[3].pk).update(version=shop.versions[1])
        return spec_of(service)

    change = VersionChange(
        service=shop.service,
        action=Action.DEPLOY,
        dest_version=shop.versions[2].pk,
        host="all",
        environment="production",
    )
    monkeypatch.setattr(create.atoms, "spec_of", reverts)
    made = actions.deploy(WHO, change)
    assert [row.instance_id for row in made.operations.all()] == [shop.instances[2].pk]


def test_a_revert_of_a_deployment_is_not_held_up(shop):
    origin = factories.deployment(
        shop.instances[2:], shop.versions[0], DeploymentStatus.SUCCEEDED, OperationStatus.SUCCEEDED, Action.REVERT
    )
    MicroServiceInstance.objects.filter(pk__in=[row.pk for row in shop.instances[2:]]).update(version=shop.versions[0])
    assert actions.revert(WHO, DeploymentRevert(origin=origin)).operations.count() == 2


def test_an_install_is_held_up_but_not_what_is_adopted(shop):
    host = factories.hosts(1, prefix="new")[0]
    Asset.objects.filter(pk=host.pk).update(environment=Environment.objects.get(name="production"))
    installation = {"version": shop.versions[2], "host": (host.hostname,)}
    assert refusal(actions.install, WHO, Installation(**installation)) == "never"
    assert refusal(actions.preview_install, WHO, Installation(**installation)) == "never"
    assert actions.install(WHO, Installation(**installation, adopt=True)).operations.count() == 1


def test_a_retry_is_held_up_where_its_version_may_not_go_any_more(shop):
    """A host that failed in staging was brought to production."""
    failed = brought(shop.instances[0], shop.versions[2], 5, OperationStatus.UNDONE)
    MicroServiceInstance.objects.filter(pk=shop.instances[0].pk).update(
        status=InstanceStatus.UPGRADE_FAILED, last_operation=failed
    )
    environments.place(WHO, Environment.objects.get(name="production"), [shop.instances[0].host_id])
    assert refusal(actions.retry, WHO, failed.deployment) == "never"
    assert refusal(actions.retry_instances, WHO, shop.service, (shop.instances[0].pk,)) == "never"
    brought(shop.instances[1], shop.versions[2], ago=60)
    assert actions.retry(WHO, failed.deployment).environment.name == "production"


def test_an_install_that_waited_for_a_delete_is_asked_once_more(shop):
    """By the worker: its version was marked bad while the delete ran."""
    MicroServiceInstance.objects.filter(pk=shop.instances[2].pk).update(status=InstanceStatus.DELETING)
    brought(shop.instances[0], shop.versions[2], ago=60)
    host = shop.instances[2].host
    made = actions.install(WHO, Installation(version=shop.versions[2], host=(host.hostname,)))
    MicroServiceVersion.objects.filter(pk=shop.versions[2].pk).update(bad=True)
    deleted = brought(shop.instances[2], shop.versions[1], 0, action=Action.DELETE)
    Operation.objects.filter(instance=shop.instances[2]).update(instance=None)
    MicroServiceInstance.objects.filter(pk=shop.instances[2].pk).update(last_operation=None)
    MicroServiceInstance.objects.filter(pk=shop.instances[2].pk).delete()
    deferred_installs.start_deferred([deleted])
    waiting = made.operations.get()
    assert (waiting.status, waiting.instance) == (OperationStatus.NOT_STARTED, None)
    assert "marked bad" in waiting.error


def test_what_a_build_starts_stops_at_what_is_not_allowed(shop):
    shop.service.auto_deploy_tag = "edge"
    shop.service.save()
    MicroServiceInstance.objects.update(tag="edge")
    auto_deploy.build_ended(shop.versions[3])
    assert [row.environment.name for row in Deployment.objects.all()] == ["staging"]


def test_costs_two_statements_however_many_versions(shop, django_assert_num_queries):
    production = Environment.objects.select_related("requires").get(name="production")
    for one in shop.versions:
        brought(shop.instances[0], one, ago=60)
    versions = list(shop.service.versions.select_related("microservice"))
    with django_assert_num_queries(2):
        missing = promotion.held_up(production, versions)
    assert {number: message.code for number, message in missing.items()} == {
        one.pk: "not_promoted.too_short" for one in versions if one.pk != shop.versions[3].pk
    }


# --- the statement against the words ----------------------------------------------------------------------------------

MOVES = st.lists(
    st.tuples(
        st.integers(0, 1),  # which instance
        st.integers(0, 3),  # which version
        st.sampled_from([OperationStatus.SUCCEEDED, OperationStatus.UNDONE, OperationStatus.FAILED]),
        st.integers(1, 50),  # minutes after the one before
    ),
    max_size=8,
)


@given(MOVES, st.none() | st.integers(0, 200))
@settings(max_examples=60, deadline=None, database=None)
def test_evidence_is_what_the_history_says(django_db_blocker, moves, moved_ago):
    with django_db_blocker.unblock(), transaction.atomic():
        try:
            _compare(moves, moved_ago)
        finally:
            transaction.set_rollback(True)


def _compare(moves, moved_ago) -> None:
    service = factories.service("history")
    versions = factories.versions(service, 4)
    staging = Environment.objects.create(name="of history")
    now = timezone.now()
    since = None if moved_ago is None else now - minutes(moved_ago)
    hosts = factories.hosts(2, prefix="history")
    Asset.objects.filter(pk__in=[host.pk for host in hosts]).update(environment=staging, environment_since=since)
    instances = factories.instances(versions[0], hosts)
    at, spans = now - minutes(400), {}
    runs: dict[int, tuple[int, datetime] | None] = {0: None, 1: None}
    for which, number, status, later in moves:
        at += minutes(later)
        made = brought(instances[which], versions[number], 0, status)
        Operation.objects.filter(pk=made.pk).update(finished=at)
        if status != OperationStatus.UNDONE and runs[which]:
            spans.setdefault(runs[which][0], []).append((runs[which][1], at, False))
        if status == OperationStatus.FAILED:
            runs[which] = None
        elif status == OperationStatus.SUCCEEDED:
            runs[which] = (number, max(at, since) if since else at)
    for run in runs.values():
        if run:
            spans.setdefault(run[0], []).append((run[1], now, True))
    found = evidence(service.pk, staging, [version.pk for version in versions], now)
    for number, version in enumerate(versions):
        expected = spans.get(number)
        if expected is None:
            assert version.pk not in found
            continue
        still = [begin for begin, _, runs_on in expected if runs_on]
        assert found[version.pk].running_since == (min(still) if still else None)
        longest = max(end - begin for begin, end, _ in expected)
        assert abs(found[version.pk].longest - longest) < timedelta(seconds=1)
