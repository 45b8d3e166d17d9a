"""Which freezes hold in which environment, and until when."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from access.authentication import acting_as
from access.callers import Caller
from asset.models import Asset, Environment
from microservice.deployments import actions, freeze_changes
from microservice.deployments.freezes import freeze_until, in_force, in_force_in
from microservice.deployments.version_change import VersionChange
from microservice.models import DeploymentRequest, Freeze
from microservice.status import Action, DeploymentStatus
from tests import factories

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)  # a Saturday
HOUR = timedelta(hours=1)
WHO = Caller(name="ann", scopes=frozenset({"read", "deploy", "admin"}))


def freeze(name="weekend", *environments, start=NOW - HOUR, end=NOW + HOUR, **more) -> Freeze:
    made = Freeze.objects.create(name=name, reason="No one is here.", start=start, end=end, **more)
    made.environments.set(environments)
    return made


@pytest.fixture
def places(db):
    return [Environment.objects.create(name=name) for name in ("staging", "production", "empty")]


def names(freezes) -> list[str]:
    return [freeze.name for freeze in freezes]


def test_a_freeze_holds_where_it_is_named_or_everywhere(places, django_assert_num_queries):
    staging, production, empty = places
    freeze("of production", production)
    freeze("of both", production, staging)
    freeze("of all", everywhere=True)
    freeze("of none")
    freeze("over", production, start=NOW - 2 * HOUR, end=NOW)
    freeze("to come", production, start=NOW + HOUR / 60)
    with django_assert_num_queries(1):
        assert names(in_force(production.pk, NOW)) == ["of all", "of both", "of production"]
    assert names(in_force(staging.pk, NOW)) == ["of all", "of both"]
    assert names(in_force(empty.pk, NOW)) == ["of all"]
    with django_assert_num_queries(0):
        assert in_force(None, NOW) == []  # hosts in no environment are never frozen
        assert in_force_in([], NOW) == {}
    with django_assert_num_queries(2):
        found = in_force_in([one.pk for one in places], NOW)
    assert found == {one.pk: in_force(one.pk, NOW) for one in places}


def test_a_freeze_that_recurs_holds_again(places):
    friday = datetime(2026, 11, 6, 15, tzinfo=UTC)  # 16:00 in Berlin
    weekly = freeze(
        "weekend",
        places[0],
        start=friday,
        end=friday + timedelta(days=2, hours=16),
        recurrence="FREQ=WEEKLY;BYDAY=FR",
        time_zone="Europe/Berlin",
    )
    monday = datetime(2026, 11, 30, 7, tzinfo=UTC)
    assert freeze_until(weekly, NOW) == monday
    assert in_force(places[0].pk, NOW) == [weekly]
    assert in_force(places[0].pk, monday) == []
    assert freeze_until(weekly, monday) is None
    summer = datetime(2027, 7, 3, 12, tzinfo=UTC)
    assert freeze_until(weekly, summer) == datetime(2027, 7, 5, 6, tzinfo=UTC)


def test_a_zone_that_is_no_longer_known_is_read_as_utc(places):
    gone = freeze(recurrence="FREQ=DAILY", time_zone="Atlantis/Capital", everywhere=True)
    assert freeze_until(gone, NOW) == NOW + HOUR
    assert in_force(places[0].pk, NOW) == [gone]


@pytest.fixture
def waiting(db, store):
    """Return a freeze of production from now on, and a deployment there that waits for its end."""
    service = factories.service()
    versions = factories.versions(service, 4)
    factories.instances(versions[1], factories.hosts(2))
    production = Environment.objects.create(name="production")
    Asset.objects.update(environment=production)
    now = timezone.now()
    row = freeze("weekend", production, start=now - HOUR, end=now + HOUR)
    change = VersionChange(service=service, action=Action.DEPLOY, dest_version=versions[3].pk, host="all")
    deployment = actions.deploy(acting_as(User.objects.create_superuser("root"), None), change)
    assert deployment.status == DeploymentStatus.WAITING
    return row, deployment


@pytest.mark.parametrize(
    "lift",
    [
        lambda row: freeze_changes.delete(WHO, row),
        lambda row: freeze_changes.change(WHO, row, {"start": "2190-01-01T00:00", "end": "2190-01-02T00:00"}),
        lambda row: freeze_changes.change(WHO, row, {"environments": [Environment.objects.create(name="other").name]}),
    ],
)
def test_what_waits_for_its_end_begins_when_it_is_lifted(waiting, lift, django_capture_on_commit_callbacks):
    row, deployment = waiting
    with django_capture_on_commit_callbacks() as after:
        lift(row)
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.WAITING
    request = DeploymentRequest.objects.get()
    assert request.look_at <= timezone.now()  # should this process die now, the sweep looks at it
    for run in after:
        run()
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.QUEUED and deployment.operations.exists()


def test_a_longer_freeze_and_a_new_one_are_waited_for(waiting, django_capture_on_commit_callbacks):
    row, deployment = waiting
    with django_capture_on_commit_callbacks(execute=True):
        freeze_changes.change(WHO, row, {"end": (timezone.now() + 3 * HOUR).isoformat(timespec="seconds")})
    row.refresh_from_db()
    assert DeploymentRequest.objects.get().look_at == row.end
    values = {"name": "all", "reason": "x", "everywhere": True}
    times = {"start": "2020-01-01T00:00", "end": (timezone.now() + 5 * HOUR).isoformat(timespec="seconds")}
    with django_capture_on_commit_callbacks(execute=True):
        everywhere = freeze_changes.create(WHO, {**values, **times})
        freeze_changes.delete(WHO, row)
    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.WAITING
    assert DeploymentRequest.objects.get().look_at == everywhere.end
