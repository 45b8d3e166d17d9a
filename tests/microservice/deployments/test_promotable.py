"""What may go to an environment next: the newest good version that lacks nothing, and a newer one that soaks."""

from datetime import UTC, datetime, timedelta

import pytest

from asset.models import Environment
from microservice.deployments.promotable import candidate
from microservice.deployments.promotion import Evidence
from microservice.models import MicroServiceVersion

NOW = datetime(2026, 11, 27, 22, 0, tzinfo=UTC)
PRODUCTION = Environment(name="production", requires=Environment(name="staging"), soak_minutes=30)


def ran(minutes: int, still: bool = True) -> Evidence:
    time = timedelta(minutes=minutes)
    return Evidence(time, NOW - time if still else None)


@pytest.mark.parametrize(
    ("evidence", "ready", "soaking", "minutes"),
    [
        ({}, None, None, 0),
        ({3: ran(29)}, None, 3, 1),
        ({3: ran(29, still=False)}, None, None, 0),
        ({3: ran(30)}, 3, None, 0),
        ({3: ran(10), 2: ran(20)}, None, 3, 20),
        ({3: ran(10), 2: ran(40, still=False), 1: ran(99)}, 2, 3, 20),
        ({2: ran(40), 1: ran(10)}, 2, None, 0),
        ({3: ran(-5)}, None, None, 0),
    ],
)
def test_what_may_go_next(evidence, ready, soaking, minutes):
    versions = [MicroServiceVersion(pk=number, version=f"{number}.0") for number in (3, 2, 1)]
    found = candidate(PRODUCTION, versions, evidence, NOW)
    assert (found.ready and found.ready.pk, found.soaking and found.soaking.pk) == (ready, soaking)
    assert found.until == (NOW + timedelta(minutes=minutes) if soaking else None)
    assert bool(found) == bool(ready or soaking)


def test_a_bad_one_never_may():
    bad = MicroServiceVersion(pk=1, version="1.0", bad=True)
    assert not candidate(PRODUCTION, [bad], {1: ran(99)}, NOW)
