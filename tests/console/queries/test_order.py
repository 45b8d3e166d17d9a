"""Lists that count something beside each row have the order that they promise, whatever the order of the ids."""

import pytest

from access.callers import Caller
from access.models import Team
from asset.models import Environment
from console.queries import environments, people

pytestmark = pytest.mark.django_db
ADA = Caller(name="ada", scopes=frozenset({"admin", "read"}))


def test_teams_are_listed_by_name():
    for name in ("white", "amber", "red"):
        Team.objects.create(name=name)
    assert [team.name for team in people.teams(ADA)] == ["amber", "red", "white"]


def test_environments_are_listed_by_their_place():
    for position, name in ((3, "production"), (1, "staging"), (1, "review")):
        Environment.objects.create(name=name, position=position)
    assert [one.name for one in environments.environments(ADA)] == ["review", "staging", "production"]
