"""What people may do by their roles in teams, and what of it a token keeps."""

import pytest
from django.contrib.auth import get_user_model
from django.test import RequestFactory

from access.authentication import caller_of
from access.models import Membership, Team
from access.roles import RIGHTS, Role, unowned_role
from access.tokens import make_token
from audit.models import History
from microservice.catalog.visibility import history
from microservice.stream_events import DELETED_SERVICE
from tests import factories

pytestmark = pytest.mark.django_db
EVERY = ["read", "publish", "deploy", "build", "admin"]


def person(name="ann", **roles):
    """Return a user with a role in each named team."""
    user, _ = get_user_model().objects.get_or_create(username=name)
    for team, role in roles.items():
        Membership.objects.create(team=Team.objects.get_or_create(name=team)[0], user=user, role=role)
    return user


def caller(user, scopes=EVERY, **more):
    token = make_token(user, "test", scopes, **more)[1]
    return caller_of(RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"}))


def rights(who, service) -> set[str]:
    return {scope for scope in EVERY if who.may(scope, service.pk)}


@pytest.fixture
def services(db):
    red, blue = Team.objects.create(name="red"), Team.objects.create(name="blue")
    return {
        "red": factories.service("of-red", team=red),
        "blue": factories.service("of-blue", team=blue),
        "nobody": factories.service("of-nobody"),
    }


@pytest.mark.parametrize("role", Role.values)
def test_roles_apply_in_their_team_only(services, role):
    who = caller(person(red=role))
    assert rights(who, services["red"]) == RIGHTS[role]
    assert rights(who, services["blue"]) == set()
    assert rights(who, services["nobody"]) == set()
    assert not who.may("admin")
    assert who.may_anywhere("admin") == (role == Role.OWNER)


def test_everyone_deploys_without_teams(db):
    service = factories.service("of-nobody")
    assert rights(caller(person()), service) == {"read", "publish", "deploy"}
    Team.objects.create(name="red")
    who = caller(person())
    assert rights(who, service) == set() and not any(who.may_anywhere(scope) for scope in EVERY)


@pytest.mark.parametrize("default", ["", "viewer", "publisher", "deployer"])
def test_team_roles_do_not_apply_to_unowned_services(services, settings, default):
    """Otherwise the owner of any team would decide it, by taking people in and by taking them out."""
    settings.DEFAULT_ROLE = default
    wanted = RIGHTS[default] if default else frozenset()
    assert unowned_role(any_team=True) == (default or None)
    for role in Role.values:
        assert rights(caller(person(f"{role}-in-red", red=role)), services["nobody"]) == wanted
    stranger = person("stranger")
    assert rights(caller(stranger), services["nobody"]) == wanted
    Membership.objects.create(team=Team.objects.get(name="blue"), user=stranger, role=Role.DEPLOYER)
    assert rights(caller(stranger), services["nobody"]) == wanted
    Membership.objects.filter(user=stranger).delete()
    assert rights(caller(stranger), services["nobody"]) == wanted
    assert rights(caller(stranger), services["red"]) == set()


def test_scopes_narrow_the_owners_rights(services):
    user = person(red=Role.OWNER)
    assert rights(caller(user, ["read", "publish"]), services["red"]) == {"read", "publish"}
    assert rights(caller(user, ["admin"]), services["red"]) == set(EVERY)
    assert rights(caller(user, EVERY, services=[services["nobody"].pk]), services["red"]) == set()
    assert rights(caller(user, ["admin"], services=[services["red"].pk]), services["red"]) == set(EVERY) - {"build"}
    assert rights(caller(user, ["admin", "build"], services=[services["red"].pk]), services["red"]) == set(EVERY)
    assert not caller(user, EVERY, services=[services["red"].pk]).owns(services["red"].team_id)


def test_tokens_lose_what_their_owner_loses(services):
    user = person(red=Role.OWNER)
    token = make_token(user, "test", EVERY)[1]
    ask = lambda: caller_of(RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"}))
    assert rights(ask(), services["red"]) == set(EVERY)
    Membership.objects.update(role=Role.VIEWER)
    assert rights(ask(), services["red"]) == {"read"}
    Membership.objects.all().delete()
    assert rights(ask(), services["red"]) == set()
    get_user_model().objects.update(is_superuser=True)
    assert rights(ask(), services["red"]) == set(EVERY)


def test_administrators_have_all_rights(services):
    who = caller(get_user_model().objects.create_superuser("root"))
    assert all(rights(who, service) == set(EVERY) for service in services.values())
    assert all(who.owns(team.pk) for team in Team.objects.all())


def test_staff_are_not_administrators(services):
    who = caller(get_user_model().objects.create_user("staff", is_staff=True))
    assert not who.may("admin")
    assert rights(who, services["red"]) == set()


def test_rights_cost_two_queries(services, settings, django_assert_num_queries):
    settings.DEFAULT_ROLE = Role.VIEWER
    user = person(red=Role.VIEWER, blue=Role.DEPLOYER)
    more = [factories.service(f"more-{number}") for number in range(20)]
    token = make_token(user, "test", EVERY)[1]
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
    caller_of(request)  # marks the token as used
    with django_assert_num_queries(3):  # the token, the roles, and which services are whose
        who = caller_of(request)
        assert all(who.may("read", service.pk) for service in more)


def test_unknown_services_give_no_rights(services):
    assert not caller(person()).may("read", 10**9)


def test_knows_services_created_later(services, settings):
    settings.DEFAULT_ROLE = Role.VIEWER
    who = caller(person())
    assert who.may("read", services["nobody"].pk)
    assert who.may("read", factories.service("newer").pk)


def test_known_services_need_no_query(services, django_assert_num_queries):
    boss = caller(get_user_model().objects.create(username="boss", is_superuser=True))
    who = caller(person(red=Role.VIEWER))
    with django_assert_num_queries(0):
        seen = {name: who.sees(service.pk, service.team_id) for name, service in services.items()}
        assert all(boss.sees(service.pk, service.team_id) for service in services.values())
        assert not who.sees(services["red"].pk, DELETED_SERVICE)
    assert seen == {name: who.may("read", service.pk) for name, service in services.items()}
    assert seen == {"red": True, "blue": False, "nobody": False}
    assert True in seen.values() and False in seen.values()


def test_hides_history_of_other_teams(services, settings):
    for name, service in services.items():
        History.objects.create(actor="x", action="change", subject="service", microservice=service, subject_name=name)
    History.objects.create(actor="x", action="delete", subject="service", subject_name="gone")
    red, blue = factories.hosts(2)
    blue.teams.add(Team.objects.get(name="blue"))
    for name, number in (("host", red.pk), ("of-blue", blue.pk), ("gone-host", 10**6), ("import", None)):
        History.objects.create(actor="x", action="x", subject="host", subject_name=name, subject_id=number)
    History.objects.create(actor="x", action="create", subject="user", subject_name="user")
    seen = lambda who: set(history(who).values_list("subject_name", flat=True))
    assert seen(caller(person(red=Role.VIEWER))) == {"red", "host"}
    settings.DEFAULT_ROLE = Role.VIEWER
    assert seen(caller(person("eve", red=Role.VIEWER))) == {"red", "nobody", "host"}
    assert seen(caller(person("eve"), services=[services["red"].pk])) == {"red"}
    assert len(seen(caller(get_user_model().objects.create_superuser("root")))) == 9
    settings.DEFAULT_ROLE = ""
    assert seen(caller(person("no-role"))) == set()


def test_shows_history_to_members_and_administrators(services):
    for name in ("red", "blue"):
        team = Team.objects.get(name=name)
        History.objects.create(actor="x", action="create", subject="team", subject_id=team.pk, subject_name=name)
    History.objects.create(actor="x", action="delete", subject="team", subject_name="gone")
    seen = lambda who: set(history(who).values_list("subject_name", flat=True))
    red = person(red=Role.VIEWER)
    assert seen(caller(red)) == {"red"}
    assert seen(caller(person("eve"))) == set()
    assert seen(caller(red, services=[services["red"].pk])) == set()
    assert seen(caller(get_user_model().objects.create_superuser("root"))) == {"red", "blue", "gone"}
