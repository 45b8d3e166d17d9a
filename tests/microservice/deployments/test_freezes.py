"""Which freezes hold in which environment, and until when."""

from datetime import UTC, datetime, timedelta

import pytest

from asset.models import Environment
from microservice.deployments.freezes import freeze_until, in_force, in_force_in
from microservice.models import Freeze

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)  # a Saturday
HOUR = timedelta(hours=1)


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
