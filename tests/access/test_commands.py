"""manage.py token, field_key and rotate_keys."""

import io
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from access.models import IdempotencyKey, Membership, Team, Token
from access.secrets import Undecryptable, decrypt_bytes, encrypt_bytes
from access.service_accounts import is_service
from asset.models import Credential
from audit.models import History
from microservice.models import MicroService
from tests import factories

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def root(db):
    return get_user_model().objects.create_superuser("root")


def test_token_prints_a_valid_token(root, client):
    printed = run("token", "ci", "--user", "root", "--scopes", "read,deploy")
    assert printed.count("\n") == 1
    row = Token.objects.get()
    assert (row.user, row.name, row.scopes, row.services) == (root, "ci", ["read", "deploy"], [])
    assert timedelta(days=89) < row.expires - timezone.now() <= timedelta(days=90), "TOKEN_LIFETIME_DAYS"
    answer = client.get("/api/v1/services/", headers={"Authorization": f"Bearer {printed.strip()}"})
    assert answer.status_code == 200
    written = History.objects.get()
    assert (written.actor, written.action, written.subject_name) == ("manage.py token", "create", str(row))
    assert printed.strip() not in str(written.after)


def test_token_accepts_user_services_and_lifetime(root):
    get_user_model().objects.create_user("ann")
    shop, other = MicroService.objects.create(name="shop"), MicroService.objects.create(name="other")
    run("token", "ci", "--scopes", "read", "--user", "ann", "--services", f"shop,{other.pk}", "--expires", "30d")
    row = Token.objects.get()
    assert (row.user.username, row.services) == ("ann", [shop.pk, other.pk])
    assert timedelta(days=29) < row.expires - timezone.now() <= timedelta(days=30)
    run("token", "ci", "--user", "ann", "--scopes", "read", "--expires", "2099-01-31T00:00:00Z")
    assert Token.objects.first().expires.isoformat() == "2099-01-31T00:00:00+00:00"
    run("token", "ci", "--user", "ann", "--scopes", "read", "--expires", "never")
    assert Token.objects.first().expires is None


@pytest.mark.parametrize(
    "words",
    [
        ["--scopes", "everything"],
        ["--scopes", ""],
        ["--scopes", "read", "--user", "nobody"],
        ["--scopes", "read", "--services", "nosuch"],
        ["--scopes", "read", "--services", "99"],
        ["--scopes", "read", "--expires", "soon"],
        ["--scopes", "read", "--expires", "2020-01-01T00:00:00Z"],
        ["--scopes", "read", "--expires", "2020-13-01T00:00:00Z"],
        ["--scopes", "admin", "--user", "ann"],
    ],
)
def test_token_reports_errors_in_one_line(root, words):
    get_user_model().objects.create_user("ann")
    with pytest.raises(CommandError) as error:
        run("token", "ci", *words, *([] if "--user" in words else ["--user", "root"]))
    assert "\n" not in str(error.value)
    assert not Token.objects.exists()


def test_token_needs_a_user(root):
    with pytest.raises(CommandError, match="--user"):
        run("token", "ci", "--scopes", "read")
    assert not Token.objects.exists()


def test_creates_a_service_account_with_its_role(root, client):
    red = Team.objects.create(name="red")
    assert "publisher of red" in run("service_account", "pipeline", "--team", "red")
    run("service_account", "pipeline", "--team", "red", "--role", "deployer")
    account = get_user_model().objects.get(username="pipeline")
    assert (Membership.objects.get().user, Membership.objects.get().role) == (account, "deployer")
    assert is_service(account) and not account.has_usable_password()
    created = History.objects.get(action="create", subject="user")
    assert (created.actor, created.subject_id) == ("manage.py service_account", account.pk)
    token = run("token", "ci", "--user", "pipeline", "--scopes", "read,publish").strip()
    factories.service("shop", team=red)
    answer = client.get("/api/v1/services/", headers={"Authorization": f"Bearer {token}"})
    assert [one["name"] for one in answer.json()["data"]] == ["shop"]


@pytest.mark.parametrize("words", [["root"], ["a b"], ["new", "--team", "nosuch"]])
def test_rejects_invalid_service_accounts(root, words):
    with pytest.raises(CommandError) as error:
        run("service_account", *words)
    assert "\n" not in str(error.value) and get_user_model().objects.count() == 1


def test_field_key_prints_a_key(db):
    Fernet(run("field_key").strip())


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM credential")
        return cursor.fetchone()[0]


def test_rotate_keys_rewrites_every_secret(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    made = Credential.objects.create(name="key", secret="the canary")
    IdempotencyKey.objects.create(
        caller="a", key="b", fingerprint="c", status=200, body=encrypt_bytes(b"answer"), lease=timezone.now()
    )
    before = stored()
    assert "canary" not in before
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    assert run("rotate_keys") == "1 secrets are under the newest key\n"
    assert stored() != before
    settings.FIELD_ENCRYPTION_KEYS = [new]
    made.refresh_from_db()
    assert (made.secret.reveal(), made.passphrase) == ("the canary", "")
    assert decrypt_bytes(bytes(IdempotencyKey.objects.get().body)) == b"answer"


def test_rotate_keys_names_unreadable_secrets(settings):
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    Credential.objects.create(name="key", secret="lost")
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="1 secrets cannot be read"):
        run("rotate_keys")
    with pytest.raises(Undecryptable):
        Credential.objects.get()


def test_repr_hides_the_secret(settings):
    made = Credential.objects.create(name="key", secret="the canary")
    made.refresh_from_db()
    for shown in (repr(made.secret), str(made.secret), f"{made.secret}", f"{made.secret!r}"):
        assert "canary" not in shown
