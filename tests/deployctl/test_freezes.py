"""deployctl freezes: listed, and asked for what holds now."""

from datetime import UTC, datetime

import pytest

from asset.models import Environment
from deployctl.exits import Exit
from microservice.models import Freeze

pytestmark = pytest.mark.django_db(transaction=True)


def test_listed_and_asked_for_what_holds_now(said):
    production = Environment.objects.create(name="production")
    Environment.objects.create(name="staging")
    past, soon, far = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2180, 2190))
    Freeze.objects.create(name="move", reason="x", start=past, end=far).environments.add(production)
    Freeze.objects.create(name="holidays", reason="x", start=soon, end=far, everywhere=True)
    status, output, _ = said("freezes")
    assert status == 0 and "production" in output and "frozen until 2190-01-01T00:00:00Z" in output
    assert "everywhere" in output and "from 2180-01-01T00:00:00Z to 2190-01-01T00:00:00Z" in output
    status, output, errors = said("freezes", "--in-force", "--environment", "production")
    assert (status, "move" in output, "holidays" in output) == (Exit.FAILED, True, False)
    assert "Frozen until 2190-01-01T00:00:00Z." in errors
    assert said("freezes", "--in-force", "--environment", "staging")[:2] == (0, "\n")
    assert said("freezes", "--environment", "moon")[0] == Exit.USAGE_ERROR
