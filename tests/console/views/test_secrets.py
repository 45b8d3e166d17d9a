"""Secrets on a service's settings page: set, replaced and removed, and never sent back."""

import importlib

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model

from access.models import Membership, Team
from access.roles import Role
from audit.models import History
from microservice.models import MicroService
from tests import factories
from tests.lab.keys import new_key

pytestmark = pytest.mark.django_db
PAGE = "/services/shop/settings/"


def put(client, of: str = "secrets", name: str = "", value: str = "", what: str = "set"):
    return client.post("/services/shop/secrets/", {"of": of, "name": name, "value": value, "what": what}, follow=True)


def test_sets_secret(admin):
    factories.service("shop")
    page = put(admin, name="PEM", value="line of parrot\r\nanother line\r\n").content.decode()
    assert "The secret was saved" in page and "parrot" not in page and "PEM" in page
    assert MicroService.objects.get().secrets.value("PEM").reveal() == "line of parrot\nanother line\n"
    put(admin, "build_secrets", "TOKEN", "parrot of builds")
    put(admin, "build_password", value="parrot of git")
    page = put(admin, name="PEM", value="a parrot that replaces it").content.decode()
    found = MicroService.objects.get()
    assert found.secrets.value("PEM").reveal() == "a parrot that replaces it"
    assert (list(found.build_secrets), list(found.build_credential)) == (["TOKEN"], ["password"])
    pages = page + admin.get(PAGE).content.decode() + admin.get("/history/").content.decode()
    assert "parrot" not in pages and "build_password" in pages.replace(" ", "_")


def test_deletes_secret(admin):
    factories.service("shop")
    put(admin, name="ONE", value="a long value")
    put(admin, name="TWO", value="a long value")
    put(admin, "build_key", value=new_key())
    page = put(admin, "secrets", "ONE", what="remove").content.decode()
    assert "was removed" in page
    put(admin, "build_key", what="remove")
    found = MicroService.objects.get()
    assert list(found.secrets) == ["TWO"] and not found.build_credential
    assert History.objects.first().after == {"build_key": "removed"}


@pytest.mark.parametrize(
    ("of", "name", "value", "said"),
    [
        ("secrets", "A", "parro", "at least 6 bytes"),
        ("secrets", "1A", "parrot-long", "is not a valid variable name"),
        ("secrets", "COLOR", "parrot-long", "already a variable of the environment"),
        ("secrets", "A", "", "required"),
        ("nothing", "A", "parrot-long", "nothing"),
        ("build_key", "", "parrot-long", "must be a private key"),
    ],
)
def test_rejects_invalid_secret(admin, of, name, value, said):
    factories.service("shop", environment={"COLOR": "blue"})
    page = put(admin, of, name, value).content.decode()
    assert said in page and "parro" not in page
    found = MicroService.objects.get()
    assert not found.secrets and not found.build_credential


def test_others_see_names_of_secrets(operator, viewer, admin):
    factories.service("shop")
    put(admin, name="ONE", value="a long value")
    for client in (operator, viewer):
        assert put(client, name="TWO", value="a long value").status_code == 403
        assert put(client, name="ONE", what="remove").status_code == 403
        page = client.get(PAGE).content.decode()
        assert "ONE" in page and "Save secret" not in page and "a long value" not in page
    assert list(MicroService.objects.get().secrets) == ["ONE"]


def test_hides_environment_values(admin, viewer, operator):
    team = Team.objects.get(name="lookers")
    Membership.objects.create(team=team, user=get_user_model().objects.get(username="olga"), role=Role.DEPLOYER)
    factories.service("shop", environment={"DB": "parrot"}, team=team)
    admin.post(PAGE, posted(environment="DB=parrot\nAPI=parrot-2"))
    for client, sees in ((admin, True), (operator, True), (viewer, False)):
        pages = [client.get(PAGE).content.decode(), client.get("/history/").content.decode()]
        assert [("parrot" in page) for page in pages] == [sees, sees]
        assert "DB=" in pages[0]


def test_hidden_values_are_kept(admin, monkeypatch):
    """All who may change a service see its values today; a right to change it without seeing them would fail here."""
    service = factories.service("shop", environment={"DB": "parrot"})
    monkeypatch.setattr("microservice.catalog.visibility.sees_values", lambda caller, number: False)
    assert "DB=•••" in admin.get(PAGE).content.decode()
    assert admin.post(PAGE, posted(environment="DB=•••", description="new")).status_code == 302
    service.refresh_from_db()
    assert (service.environment, service.description) == ({"DB": "parrot"}, "new")


def test_rejects_password_in_url(admin):
    factories.service("shop")
    answer = admin.post(PAGE, posted(build_url="https://ci:parrot@git.example/shop"))
    assert answer.status_code == 422 and "must not contain a user name or password" in answer.content.decode()


def posted(**more: str) -> dict:
    return {
        "description": "",
        "language": "other",
        "check_timeout": "60",
        "keep_releases": "3",
        "build_orig": "git",
        **more,
    }


def test_owner_sets_secrets_of_team(db, client):
    team = Team.objects.create(name="red")
    user = get_user_model().objects.create_user("olaf")
    Membership.objects.create(team=team, user=user, role=Role.OWNER)
    factories.service("shop", team=team)
    client.force_login(user)
    assert put(client, name="ONE", value="a long value").status_code == 200
    assert list(MicroService.objects.get().secrets) == ["ONE"]


def test_migration_moves_passwords_out_of_urls(capsys):
    urls = {
        "a": "https://ci:ca%40nary@git.example/a",
        "b": "https://parrot-token@git.example/b",
        "c": "ssh://git@git.example/c",
        "d": "git@git.example:d",
        "e": "https://git.example/e@f",
    }
    for name, url in urls.items():
        MicroService.objects.filter(pk=factories.service(name).pk).update(build_url=url)
    importlib.import_module("microservice.migrations.0012_service_secrets").move_passwords(apps, None)
    output = capsys.readouterr().out
    assert output.rstrip().endswith("to build_password: a, b") and "nary" not in output
    found = {row.name: row for row in MicroService.objects.all()}
    assert [found[name].build_url for name in "abcde"] == [
        "https://git.example/a",
        "https://git.example/b",
        *(urls[name] for name in "cde"),
    ]
    assert (found["a"].build_username, found["a"].build_credential.value("password").reveal()) == ("ci", "ca@nary")
    assert (found["b"].build_username, found["b"].build_credential.value("password").reveal()) == ("", "parrot-token")
    assert not any(found[name].build_credential for name in "cde")
