"""Secrets of services and builds through the API: they go in and never come out; who sees what of the environment."""

import json
import subprocess

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import Membership, Team
from access.roles import Role
from access.tokens import make_token
from audit.models import History
from microservice.catalog.secrets import MAX_BYTES, MAX_MAP_BYTES, MAX_MAP_LINES, MAX_SECRETS
from microservice.models import Deployment, MicroService
from tests import factories
from tests.api.client import Api
from tests.lab.keys import new_key

pytestmark = pytest.mark.django_db
KEY = new_key()
SECRET_LINE = KEY.splitlines()[3]  # the seed; the lines before it hold what is public


def written() -> str:
    return json.dumps(list(History.objects.values("before", "after", "reason", "subject_name")))


@pytest.mark.found("builds")
def test_shows_only_names_of_secrets(api):
    made = api().post(
        "/services/",
        {
            "name": "shop",
            "secrets": {"DB_PASSWORD": "canary-1\nline two"},
            "build_secrets": {"NPM_TOKEN": "canary-2"},
            "build_username": "ci",
            "build_password": "canary-3",
            "build_key": KEY,
        },
    )
    assert made.status_code == 201, made.content
    read = api("read").get("/services/shop")
    body = read.json()
    assert (body["secrets"], body["build_secrets"], body["build_username"]) == (["DB_PASSWORD"], ["NPM_TOKEN"], "ci")
    assert (body["has_build_password"], body["has_build_key"]) == (True, True)
    assert body["secrets_changed"]["DB_PASSWORD"].endswith(("Z", "+00:00"))
    listed = api().get("/services/").content
    for answer in (made.content, read.content, listed, written().encode()):
        assert b"canary" not in answer and SECRET_LINE.encode() not in answer and b"line two" not in answer
    service = MicroService.objects.get()
    assert service.secrets.value("DB_PASSWORD").reveal() == "canary-1\nline two"
    assert service.build_credential.value("key").reveal().split() == KEY.split()


@pytest.mark.found("keys")
@pytest.mark.parametrize(
    "pasted",
    [
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
        lambda text: f"the deploy key:\n{text}of the shop",
        lambda text: "".join(f"   {line}  \n" for line in text.splitlines()),
        lambda text: text.replace("\n", "\\n"),
    ],
)
def test_normalizes_repository_keys(api, pasted, tmp_path):
    """ssh itself takes a file with a BOM, or with a word before the key, for no key at all."""
    assert api().post("/services/", {"name": "shop", "build_key": pasted(KEY)}).status_code == 201
    kept = MicroService.objects.get().build_credential.value("key").reveal()
    lines = kept.splitlines()
    assert (lines[0], lines[-1]) == (KEY.splitlines()[0], KEY.splitlines()[-1])
    assert "".join(lines[1:-1]) == "".join(KEY.splitlines()[1:-1])
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text(kept)
    assert subprocess.run(["ssh-keygen", "-y", "-f", tmp_path / "key"], capture_output=True).returncode == 0


def test_changes_named_secrets_and_records_names_only(api):
    api().post(
        "/services/", {"name": "shop", "secrets": {"ONE": "canary-1", "TWO": "canary-2"}, "build_password": "canary-p"}
    )
    answer = api().patch(
        "/services/shop",
        {"secrets": {"TWO": None, "ONE": "canary-4", "NEW": "canary-3", "NO": None}, "build_password": ""},
    )
    assert answer.status_code == 200, answer.content
    assert (answer.json()["secrets"], answer.json()["has_build_password"]) == (["NEW", "ONE"], False)
    row = History.objects.first()
    assert row.after == {"secrets": {"NEW": "set", "ONE": "changed", "TWO": "removed"}, "build_password": "removed"}
    assert "canary" not in written()
    assert MicroService.objects.get().secrets.value("ONE").reveal() == "canary-4"
    count = History.objects.count()
    assert api().patch("/services/shop", {"secrets": {"GONE": None}, "build_key": ""}).status_code == 200
    assert History.objects.count() == count  # nothing changed


@pytest.mark.found("builds")
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"secrets": {"1X": "long enough"}}, "/secrets/1X"),
        ({"secrets": {"a b": "long enough"}}, "/secrets/a b"),
        ({"secrets": {"VERSION": "long enough"}}, "/secrets/VERSION"),
        ({"build_secrets": {"HOME": "long enough"}}, "/build_secrets/HOME"),
        ({"secrets": {"A": "short"}}, "/secrets/A"),
        ({"secrets": {"A": "ab        "}}, "/secrets/A"),
        ({"secrets": {"A": 7}}, "/secrets/A"),
        ({"secrets": {"A": "x" * (MAX_BYTES + 1)}}, "/secrets/A"),
        (
            {"secrets": {"A": "x" * MAX_BYTES, "B": "x" * MAX_BYTES, "C": "x" * (MAX_MAP_BYTES - 2 * MAX_BYTES + 6)}},
            "/secrets",
        ),
        ({"secrets": {f"A{number}": "long enough" for number in range(MAX_SECRETS + 1)}}, "/secrets"),
        ({"secrets": {"A": "line\n" * (MAX_MAP_LINES + 1)}}, "/secrets"),
        ({"secrets": {"COLOR": "long enough"}}, "/secrets/COLOR"),
        ({"environment": {"KEPT": "again"}}, "/secrets/KEPT"),
        ({"build_key": "no key at all"}, "/build_key"),
        (
            {"build_key": "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n"},
            "/build_key",
        ),
        ({"build_key": new_key("canary")}, "/build_key"),
        ({"build_password": "two\nlines"}, "/build_password"),
        ({"build_url": "https://ci:canary@git.example/shop"}, "/build_url"),
        ({"build_url": "https://canary-token@git.example/shop"}, "/build_url"),
        ({"build_url": "ssh://git:canary@git.example/shop"}, "/build_url"),
        ({"environment": {"UNKNOWN": None}}, "/environment"),
    ],
)
def test_rejects_invalid_secrets_without_quoting(api, body, pointer):
    factories.service("shop", environment={"COLOR": "blue"})
    assert api().patch("/services/shop", {"secrets": {"KEPT": "a value that stays"}}).status_code == 200
    answer = api().patch("/services/shop", body)
    assert answer.status_code == 422, answer.content
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert "canary" not in answer.content.decode() and "xxxx" not in answer.content.decode()
    service = MicroService.objects.get()
    assert list(service.secrets) == ["KEPT"] and service.environment == {"COLOR": "blue"} and not service.build_url


@pytest.mark.parametrize("url", ["ssh://git@git.example/shop", "git@git.example:shop.git", "https://git.example/a@b"])
def test_accepts_addresses_without_secrets(api, url):
    assert api().post("/services/", {"name": "shop", "build_url": url}).json()["build_url"] == url


def test_password_is_dropped_with_a_new_server(api):
    api().post("/services/", {"name": "shop", "build_url": "https://git.example/shop", "build_password": "canary"})
    moved = api().patch("/services/shop", {"build_url": "https://evil.example/shop"})
    assert moved.status_code == 422 and moved.json()["errors"][0]["pointer"] == "/build_password"
    assert api().patch("/services/shop", {"build_url": "http://git.example/shop"}).status_code == 422
    assert api().patch("/services/shop", {"build_url": "https://git.example/other"}).status_code == 200
    again = api().patch("/services/shop", {"build_url": "https://new.example/shop", "build_password": "another"})
    assert again.status_code == 200
    assert api().patch("/services/shop", {"build_url": "https://x.example/", "build_password": ""}).status_code == 200


def test_replaces_unreadable_secrets(api, settings):
    api().post("/services/", {"name": "shop", "secrets": {"A": "a lost value", "B": "another lost one"}})
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert api().get("/services/shop").json()["secrets"] == ["A", "B"]
    answer = api().patch("/services/shop", {"secrets": {"A": "a value again", "B": None}})
    assert answer.status_code == 200, answer.content
    assert MicroService.objects.get().secrets.value("A").reveal() == "a value again"


def test_setting_secrets_needs_service_admin(api):
    factories.service("shop")
    for scopes in (("read",), ("read", "publish"), ("read", "publish", "deploy")):
        assert api(*scopes).patch("/services/shop", {"secrets": {"A": "long enough"}}).status_code == 403
    assert not MicroService.objects.get().secrets


# ---- who sees what of the environment --------------------------------------------------------------------------------


@pytest.fixture
def member(db):
    """`member(role)`: a caller with that role in the team that owns the service shop."""
    team = Team.objects.create(name="red")
    service = factories.service("shop", environment={"DB_PASSWORD": "canary"}, team=team)

    def some(role: str) -> Api:
        user = get_user_model().objects.create_user(f"a {role}")
        Membership.objects.create(team=team, user=user, role=role)
        return Api(make_token(user, "test", ["read", "publish", "deploy", "admin"])[1])

    some.service = service  # type: ignore[attr-defined]
    return some


@pytest.mark.parametrize(
    ("role", "sees"), [(Role.VIEWER, False), (Role.PUBLISHER, False), (Role.DEPLOYER, True), (Role.OWNER, True)]
)
def test_only_deployers_see_environment_values(api, member, role, sees):
    # A row of the history as it was written before secrets were left out, and a new one.
    History.objects.create(
        actor="ann",
        action="change",
        subject="service",
        microservice=member.service,
        before={"environment": {"DB_PASSWORD": "canary-0"}},
        after={"environment": {}},
    )
    api().patch("/services/shop", {"environment": {"DB_PASSWORD": "canary-2", "COLOR": "blue"}})
    caller = member(role)
    answers = [caller.get(path) for path in ("/services/shop", "/services/", "/history/", "/history/?service=shop")]
    assert all(answer.status_code == 200 for answer in answers)
    assert [b"canary" in answer.content for answer in answers] == [sees] * 4
    wanted = {"DB_PASSWORD": "canary-2", "COLOR": "blue"}
    assert answers[0].json()["environment"] == (wanted if sees else dict.fromkeys(wanted))
    assert b"DB_PASSWORD" in answers[2].content  # that it changed is told
    assert b"canary" in api().get("/history/").content


def test_read_tokens_see_no_values(api, member):
    assert b"canary" not in api("read").get("/services/shop").content
    assert b"canary" in api("read", "deploy").get("/services/shop").content


def test_accepts_hidden_values_unchanged(api, member):
    shown = api("read").get("/services/shop").json()["environment"]
    assert shown == {"DB_PASSWORD": None}
    answer = api().patch("/services/shop", {"environment": {**shown, "COLOR": "blue"}})
    assert answer.status_code == 200
    assert MicroService.objects.get().environment == {"DB_PASSWORD": "canary", "COLOR": "blue"}


@pytest.mark.found("builds")
def test_hides_passwords_in_addresses_of_old_rows(api):
    service = factories.service("shop")
    History.objects.create(
        actor="ann",
        action="change",
        subject="service",
        microservice=service,
        before={"build_url": "https://ci:canary@git.example/a"},
        after={"build_url": "https://canary@git.example/b"},
        reason="cannot read https://ci:canary@git.example/a",
    )
    answer = api().get("/history/?service=shop").content.decode()
    assert "canary" not in answer and "git.example/b" in answer


def test_lists_have_constant_queries(api, member):
    caller = member(Role.VIEWER)

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert caller.get("/services/").status_code == 200
            assert caller.get("/history/").status_code == 200
        return len(asked)

    def more(number: int) -> None:
        made = factories.service(f"s{number}", environment={"A": "b"}, team=member.service.team)
        History.objects.create(
            actor="ann", action="change", subject="service", microservice=made, after={"environment": {"A": "b"}}
        )

    more(0)
    queries()
    few = queries()
    for number in range(1, 10):
        more(number)
    assert queries() == few


def test_deployments_hide_earlier_values(api, member):
    row = Deployment.objects.create(
        microservice=member.service, action="install", spec={"environment": {"DB_PASSWORD": "canary"}}
    )
    assert b"canary" not in member(Role.VIEWER).get(f"/deployments/{row.pk}").content
