"""People, teams, the own account, and tokens for some services."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from access.models import Membership, Team, Token
from audit.models import History
from tests import factories

pytestmark = pytest.mark.django_db
BO = {"username": "bo", "first_name": "Bo", "email": "bo@example.org", "password": "correct horse 9", "active": "on"}


def signs_in(name: str, password: str) -> bool:
    return Client().login(username=name, password=password)


def test_adds_changes_and_deletes_user(admin):
    answer = admin.post("/people/", BO)
    bo = User.objects.get(username="bo")
    assert answer["Location"] == f"/people/{bo.pk}/" and signs_in("bo", "correct horse 9")
    same = {**BO, "password": ""}
    admin.post(f"/people/{bo.pk}/", same | {"last_name": "Berg"})
    assert signs_in("bo", "correct horse 9"), "an empty password keeps the one that is there"
    admin.post(f"/people/{bo.pk}/", same | {"password": "another horse 10"})
    assert signs_in("bo", "another horse 10")
    admin.post(f"/people/{bo.pk}/", {key: value for key, value in same.items() if key != "active"})
    assert not signs_in("bo", "another horse 10") and "deactivated" in admin.get("/people/").content.decode()
    admin.post(f"/people/{bo.pk}/delete/")
    assert not User.objects.filter(username="bo").exists()
    history = str(list(History.objects.values_list("before", "after")))
    assert (
        "horse" not in history and History.objects.filter(subject="user", action="delete", subject_name="bo").exists()
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [("username", "ada"), ("username", "x y"), ("username", ""), ("email", "nonsense"), ("password", "123")],
)
def test_rejects_invalid_user(admin, field, value):
    answer = admin.post("/people/", BO | {"last_name": "kept"} | {field: value})
    page = answer.content.decode()
    assert answer.status_code == 422 and 'value="kept"' in page and "correct horse 9" not in page
    assert not User.objects.filter(first_name="Bo").exists()


def test_users_need_admin(admin, operator):
    ada = User.objects.get(username="ada")
    answer = admin.post(f"/people/{ada.pk}/", {"username": "ada", "active": "on"})
    assert answer.status_code == 422 and "your own administrator rights" in answer.content.decode()
    admin.post(f"/people/{ada.pk}/delete/")
    ada.refresh_from_db()
    assert ada.is_superuser and "This is you" in admin.get(f"/people/{ada.pk}/").content.decode()
    for address in ("/people/", f"/people/{ada.pk}/"):
        assert operator.get(address).status_code == 403 and operator.post(address, BO).status_code == 403
    assert operator.post(f"/people/{ada.pk}/delete/").status_code == 403


def test_creates_fills_and_deletes_team(admin, operator):
    factories.service("shop")
    admin.post("/teams/", {"name": "sales"})
    team = Team.objects.get()
    address = f"/teams/{team.pk}/"
    admin.post(f"{address}member/", {"user": "olga", "role": "viewer"})
    admin.post(f"{address}give/", {"service": "shop"})
    page = operator.get(address).content.decode()
    assert "olga" in page and "shop" in page and "Remove" not in page and "owners and administrators" in page
    assert (
        "You need the right" in operator.get("/services/shop/versions/new/").content.decode()
        or operator.post("/services/shop/versions/new/", {"version": "1.0", "ref": "main"}).status_code == 403
    )
    assert "owns services" in admin.post(f"{address}delete/", follow=True).content.decode()
    admin.post(f"{address}member/", {"user": "olga", "role": "owner"})
    unknown = operator.post(f"{address}member/", {"user": "nobody", "role": "viewer"})
    assert unknown.status_code == 422 and "is not the name of a user" in unknown.content.decode(), "an owner may"
    operator.post(f"{address}member/", {"user": "ada", "role": "viewer"})
    assert Membership.objects.count() == 2
    assert (
        "would have no owner"
        in operator.post(
            f"{address}remove/", {"user": User.objects.get(username="olga").pk}, follow=True
        ).content.decode()
    )
    admin.post(f"{address}take/", {"service": "shop"})
    admin.post(f"{address}name/", {"name": "commerce"})
    team.refresh_from_db()
    assert team.name == "commerce" and not team.services.exists()
    assert operator.post(f"{address}delete/", follow=True) and Team.objects.exists()
    admin.post(f"{address}delete/")
    assert not Team.objects.exists()


def test_other_teams_are_hidden(admin, operator):
    admin.post("/teams/", {"name": "sales"})
    assert "sales" not in operator.get("/teams/").content.decode()
    assert operator.get(f"/teams/{Team.objects.get().pk}/").status_code == 403, "without a role anywhere"
    assert operator.post("/teams/", {"name": "mine"}).status_code == 403


def test_changes_own_password(operator):
    new = {"password": "a new horse 77", "again": "a new horse 77"}
    other = Client()
    assert other.login(username="olga", password="olga-password-1")
    for wrong in (
        {"old": "guess", **new},
        {"old": "olga-password-1", **new, "again": "x"},
        {"old": "olga-password-1", "password": "123", "again": "123"},
    ):
        answer = operator.post("/account/", wrong)
        assert answer.status_code == 422 and 'aria-invalid="true"' in answer.content.decode()
    assert signs_in("olga", "olga-password-1")
    assert operator.post("/account/", {"old": "olga-password-1", **new}).status_code == 302
    assert signs_in("olga", "a new horse 77") and operator.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302, "sessions elsewhere have ended"
    answers = [operator.post("/account/", {"old": "guess", **new}).content.decode() for _ in range(12)]
    assert "Too many attempts" in answers[-1]


def test_creates_token_for_services(admin):
    factories.service("shop")
    admin.post("/tokens/", {"name": "ci", "scopes": ["read"], "services": "shop"})
    assert "shop" in admin.get("/tokens/").content.decode().partition("<tbody")[2]
    assert len(Token.objects.get().services) == 1
    assert admin.post("/tokens/", {"name": "x", "scopes": ["read"], "services": "nosuch"}).status_code == 422


def test_people_pages_query_count(admin, cost):
    addresses = ("/people/", "/teams/", "/tokens/")
    team = Team.objects.create(name="a")
    for number in range(2):
        Membership.objects.create(team=team, user=User.objects.create_user(f"first{number}"))
    admin.post("/tokens/", {"name": "ci", "scopes": ["read"]})
    small = [cost(admin, address) for address in addresses] + [cost(admin, f"/teams/{team.pk}/")]
    for number in range(15):
        other = Team.objects.create(name=f"team{number}")
        Membership.objects.create(team=other, user=User.objects.create_user(f"more{number}"))
        Membership.objects.create(team=team, user=User.objects.get(username=f"more{number}"))
    assert [cost(admin, address) for address in addresses] + [cost(admin, f"/teams/{team.pk}/")] == small
