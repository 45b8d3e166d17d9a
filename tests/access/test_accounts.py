"""Users and teams over the API. Every endpoint for every role: test_every_right.py."""

import pytest
from django.contrib.auth import get_user_model

from access.models import Membership, Team
from access.roles import Role
from access.tokens import make_token
from audit.models import History
from microservice.models import MicroService
from tests import factories
from tests.api.client import Api

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]
EVERY = ["read", "publish", "deploy", "admin"]


def member(role: str, team: Team, name: str = "") -> Api:
    user = get_user_model().objects.create_user(name or f"{role}-of-{team.name}")
    Membership.objects.create(team=team, user=user, role=role)
    return Api(make_token(user, "test", EVERY)[1])


@pytest.fixture
def red(db):
    return Team.objects.create(name="red")


def test_lists_hide_other_teams(red):
    own = factories.deployment(
        factories.instances(factories.versions(factories.service("own", team=red), 2)[0], factories.hosts()),
        MicroService.objects.get(name="own").versions.last(),
    )
    other_service = factories.service("other", team=Team.objects.create(name="blue"))
    other = factories.deployment(
        factories.instances(factories.versions(other_service, 2)[0], factories.hosts()), other_service.versions.last()
    )
    History.objects.create(actor="x", action="change", subject="service", microservice=other_service)
    some = member(Role.OWNER, red)
    assert [row["name"] for row in some.get("/services/").json()["data"]] == ["own"]
    assert [row["id"] for row in some.get("/deployments/").json()["data"]] == [own.pk]
    assert some.get("/history/").json()["data"] == []
    assert [row["name"] for row in some.get("/teams/").json()["data"]] == ["red"]
    for path in (
        f"/deployments/{other.pk}",
        f"/deployments/{other.pk}/operations/",
        f"/deployments/{other.pk}/events",
        f"/operations/{other.operations.first().pk}/log",
        f"/services/{other_service.pk}",
        "/services/other",
    ):
        assert some.get(path).status_code == 404, path
    for verb in ("cancel", "pause", "resume", "retry", "revert"):
        assert some.post(f"/deployments/{other.pk}/{verb}", {}).status_code == 404
        assert member(Role.VIEWER, red, f"v-{verb}").post(f"/deployments/{own.pk}/{verb}", {}).status_code == 403
    assert some.get(f"/services/?service={other_service.pk}").json()["count"] == 1


def test_console_hides_other_teams(red, client):
    own, other = (
        factories.service("own", team=red),
        factories.service("clandestine", team=Team.objects.create(name="blue")),
    )
    user = get_user_model().objects.create_user("ann")
    Membership.objects.create(team=red, user=user, role=Role.VIEWER)
    client.force_login(user)
    assert b"clandestine" not in client.get("/").content
    assert b"own" in client.get("/").content
    assert client.get(f"/services/{other.name}/").status_code == 404
    assert client.get(f"/services/{own.name}/").status_code == 200
    assert client.post(f"/services/{own.name}/settings/", {"start_command": "rm"}).status_code == 403


# --- services of teams ------------------------------------------------------------------------------------------------


def test_owners_manage_services_of_their_team_only(red):
    blue = Team.objects.create(name="blue")
    some = member(Role.OWNER, red)
    made = some.post("/services/", {"name": "mine", "team": "red"})
    assert (made.status_code, made.json()["team"]) == (201, "red")
    assert some.post("/services/", {"name": "theirs", "team": blue.pk}).status_code == 403
    assert some.post("/services/", {"name": "nobodys"}).status_code == 403
    assert some.post("/services/", {"name": "x", "team": "nosuch"}).status_code == 422
    assert some.patch("/services/mine", {"description": "new"}).json()["description"] == "new"
    assert some.patch("/services/mine", {"team": "blue"}).status_code == 403
    assert some.patch("/services/mine", {"team": None}).status_code == 403
    assert some.delete("/services/mine").status_code == 204


def test_administrators_assign_services(red, api):
    factories.service("shop")
    assert api().patch("/services/shop", {"team": "red"}).json()["team"] == "red"
    row = History.objects.get(action="change")
    assert (row.before, row.after) == ({"team": None}, {"team": "red"})
    assert api().get("/services/").json()["data"][0]["team"] == "red"
    assert api().delete(f"/teams/{red.pk}").json()["code"] == "team_in_use"
    assert api().patch("/services/shop", {"team": None}).json()["team"] is None
    assert api().delete(f"/teams/{red.pk}").status_code == 204


def test_service_list_has_constant_queries(api, django_assert_max_num_queries):
    for number in range(10):
        factories.service(f"s{number}", team=Team.objects.create(name=f"t{number}"))
    some = api()
    some.get("/services/")
    with django_assert_max_num_queries(6):
        assert len(some.get("/services/").json()["data"]) == 10


# --- users ------------------------------------------------------------------------------------------------------------


def test_user_lifecycle_never_shows_the_password(api):
    some = api()
    made = some.post("/users/", {"username": "joe", "password": "a right long horse", "email": "j@example.org"})
    assert made.status_code == 201
    joe = made.json()
    assert (joe["username"], joe["admin"], joe["active"], joe["teams"]) == ("joe", False, True, [])
    assert "password" not in joe
    assert get_user_model().objects.get(username="joe").check_password("a right long horse")
    path = f"/users/{joe['id']}"
    assert some.patch(path, {"admin": True}).json()["admin"] is True
    assert some.patch(path, {"active": False}).json()["active"] is False
    assert some.get(path).json()["email"] == "j@example.org"
    assert some.get("/users/").json()["count"] == 2
    assert not any("horse" in str(row.after) + str(row.before) for row in History.objects.all())
    assert some.delete(path).status_code == 204
    assert some.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"username": ""}, "/username"),
        ({"username": "a b"}, "/username"),
        ({"username": "x" * 151}, "/username"),
        ({"username": "joe", "email": "nonsense"}, "/email"),
        ({"username": "joe", "password": "short"}, "/password"),
        ({"username": "joe", "first_name": "a\nb"}, "/first_name"),
        ({"username": "joe", "nosuch": 1}, "/nosuch"),
        ({}, "/username"),
    ],
)
def test_points_at_invalid_user_fields(api, body, pointer):
    answer = api().post("/users/", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_refuses_taken_names(api):
    assert api().post("/users/", {"username": "joe"}).status_code == 201
    assert api().post("/users/", {"username": "joe"}).json()["code"] == "user_exists"


def test_refuses_to_remove_own_rights(api):
    some = api()
    own = f"/users/{get_user_model().objects.get(username='ann').pk}"
    assert some.patch(own, {"admin": False}).json()["code"] == "own_account"
    assert some.patch(own, {"active": False}).json()["code"] == "own_account"
    assert some.delete(own).json()["code"] == "own_account"


def test_users_without_password_cannot_sign_in(api, client):
    api().post("/users/", {"username": "joe"})
    assert not client.login(username="joe", password="")


# --- teams ------------------------------------------------------------------------------------------------------------


def test_team_lifecycle(api):
    some = api()
    for name in ("joe", "eve"):
        some.post("/users/", {"username": name})
    made = some.post("/teams/", {"name": "red", "members": [{"user": "joe", "role": "owner"}]})
    assert made.status_code == 201, made.content
    path = f"/teams/{made.json()['id']}"
    eve = get_user_model().objects.get(username="eve")
    assert some.post(f"{path}/members/", {"user": "eve", "role": "viewer"}).status_code == 201
    assert some.patch(f"{path}/members/{eve.pk}", {"role": "deployer"}).json()["role"] == "deployer"
    roles = {row["username"]: row["role"] for row in some.get(f"{path}/members/").json()["data"]}
    assert roles == {"joe": "owner", "eve": "deployer"}
    assert [one["role"] for one in some.get(f"/users/{eve.pk}").json()["teams"]] == ["deployer"]
    assert some.delete(f"{path}/members/{eve.pk}").status_code == 204
    assert some.delete(f"{path}/members/{eve.pk}").status_code == 404
    assert some.patch(f"{path}/members/{eve.pk}", {"role": "viewer"}).status_code == 404
    assert some.patch(path, {"name": "crimson", "members": [{"user": eve.pk, "role": "viewer"}]}).status_code == 200
    assert [row["username"] for row in some.get(path).json()["members"]] == ["eve"]
    assert some.post("/teams/", {"name": "crimson"}).json()["code"] == "team_exists"
    assert some.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "123"}, "/name"),
        ({"name": "x" * 65}, "/name"),
        ({"name": "a", "members": [{"user": "nosuch", "role": "viewer"}]}, "/members/0/user"),
        ({"name": "a", "members": [{"user": "ann", "role": "king"}]}, "/members/0/role"),
        ({"name": "a", "members": [{"user": 2**80, "role": "viewer"}]}, "/members/0/user"),
    ],
)
def test_points_at_invalid_team_fields(api, body, pointer):
    answer = api().post("/teams/", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert not Team.objects.exists()


def test_owners_change_members_of_their_team_only(red):
    blue = Team.objects.create(name="blue")
    joe = get_user_model().objects.create_user("joe")
    some = member(Role.OWNER, red)
    assert some.post(f"/teams/{red.pk}/members/", {"user": "joe", "role": "deployer"}).status_code == 201
    assert some.post(f"/teams/{blue.pk}/members/", {"user": "joe", "role": "deployer"}).status_code == 404
    assert some.patch(f"/teams/{red.pk}", {"name": "crimson"}).status_code == 403
    promotion = {"user": "joe", "role": "owner"}
    assert member(Role.DEPLOYER, red).post(f"/teams/{red.pk}/members/", promotion).status_code == 403
    Membership.objects.create(team=blue, user=get_user_model().objects.get(username="owner-of-red"), role=Role.VIEWER)
    assert some.post(f"/teams/{blue.pk}/members/", {"user": "joe", "role": "deployer"}).status_code == 403
    assert not Membership.objects.filter(team=blue, user=joe).exists()


def test_teams_keep_an_owner(red):
    some = member(Role.OWNER, red)
    own = get_user_model().objects.get(username="owner-of-red")
    assert some.delete(f"/teams/{red.pk}/members/{own.pk}").json()["code"] == "last_owner"
    assert some.patch(f"/teams/{red.pk}/members/{own.pk}", {"role": "viewer"}).json()["code"] == "last_owner"
    assert some.patch(f"/teams/{red.pk}", {"members": []}).json()["code"] == "last_owner"
    assert Membership.objects.get(user=own).role == Role.OWNER


def test_owners_learn_no_account_names(red):
    """The id of an account, an unused id and an unknown name are answered alike."""
    joe = get_user_model().objects.create_user("joe")
    some = member(Role.OWNER, red)
    own = get_user_model().objects.get(username="owner-of-red")
    path = f"/teams/{red.pk}/members/"
    ids = (joe.pk, 10**9, 2**80, "nosuch", str(joe.pk))
    answers = [some.post(path, {"user": who, "role": "viewer"}) for who in ids]
    assert [answer.status_code for answer in answers] == [422] * 5
    for answer in answers:
        assert answer.json()["errors"] == answers[0].json()["errors"] and b"joe" not in answer.content
    whole = [{"user": own.pk, "role": "owner"}, {"user": joe.pk, "role": "viewer"}]
    assert some.patch(f"/teams/{red.pk}", {"members": whole}).json()["errors"][0]["pointer"] == "/members/1/user"
    assert not Membership.objects.filter(user=joe).exists()
    assert some.post(path, {"user": "joe", "role": "viewer"}).status_code == 201
    assert some.post(path, {"user": joe.pk, "role": "deployer"}).json()["role"] == "deployer", "a member by now"


def test_only_administrators_list_accounts(red):
    for role in Role.values:
        some = member(role, red)
        assert some.get("/users/").status_code == 403
        assert some.get(f"/users/{get_user_model().objects.first().pk}").status_code == 403


# --- what builds run --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["build_command", "build_url", "build_orig"])
def test_changing_build_fields_needs_build(red, field):
    value = {"build_command": "make", "build_url": "https://git.example/x.git", "build_orig": "gitlab"}[field]
    shop = factories.service("shop", team=red)
    member(Role.OWNER, red)
    own = get_user_model().objects.get(username="owner-of-red")
    root = get_user_model().objects.create_superuser("root")
    for user in (own, root):
        token = lambda scopes, bound, user=user: Api(
            make_token(user, "t", scopes, services=[shop.pk] if bound else ())[1]
        )
        bound = token(["admin"], True)
        answer = bound.patch("/services/shop", {field: value})
        assert answer.status_code == 403 and answer.json()["errors"][0]["pointer"] == f"/{field}"
        assert "build machines" in answer.json()["detail"]
        assert bound.patch("/services/shop", {"description": f"by {user}"}).status_code == 200, "anything else"
        shop.refresh_from_db()
        assert bound.patch("/services/shop", {field: getattr(shop, field)}).status_code == 200, "what it is already"
        for scopes, is_bound in ((["admin", "build"], True), (["admin"], False)):
            assert token(scopes, is_bound).patch("/services/shop", {field: value}).status_code == 200
            MicroService.objects.filter(pk=shop.pk).update(**{field: getattr(MicroService(), field)})
    assert Api(make_token(own, "t", ["read", "build"])[1]).patch("/services/shop", {field: value}).status_code == 403


def test_creating_with_build_fields_needs_build(red):
    some = member(Role.OWNER, red)
    assert some.post("/services/", {"name": "a", "team": "red", "build_command": "make"}).status_code == 201
    limited = Api(make_token(get_user_model().objects.get(username="owner-of-red"), "t", ["read", "build"])[1])
    assert limited.post("/services/", {"name": "b", "team": "red", "build_command": "make"}).status_code == 403


def test_tokens_cannot_grant_build(red):
    shop = factories.service("shop", team=red)
    root = get_user_model().objects.create_superuser("root")
    bound = Api(make_token(root, "t", ["admin", "tokens"], services=[shop.pk])[1])
    assert bound.post("/tokens/", {"name": "more", "scopes": ["build"], "services": ["shop"]}).status_code == 403


def test_scoped_tokens_see_only_their_services(red, api):
    shop = factories.service("shop", team=red)
    host = factories.hosts(1)[0]
    every = ("read", "publish", "deploy", "build", "admin")
    bound = api(*every, services=[shop.pk])
    for path in (
        "/teams/",
        f"/teams/{red.pk}",
        f"/teams/{red.pk}/members/",
        "/credentials/",
        "/users/",
        "/callbacks/",
        "/settings/",
        "/settings/history",
    ):
        assert bound.get(path).status_code == 403, path
    assert bound.get("/services/shop").json()["team"] == "red"
    assert bound.get(f"/hosts/{host.pk}").status_code == 200, "it installs there"
    looks = api("read", services=[shop.pk])
    assert (looks.get("/hosts/").status_code, looks.get(f"/hosts/{host.pk}").status_code) == (403, 403)
    assert bound.post(f"/hosts/{host.pk}/check").status_code == 403
