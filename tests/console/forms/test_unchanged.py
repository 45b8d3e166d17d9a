"""A form that is posted as it was shown changes nothing, for every value that the API accepts."""

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from access.accounts import change_user, create_user
from access.callers import Caller
from access.models import Team
from access.teams import change_team, create_team
from asset import credentials, environments, host_groups
from asset import hosts as host_changes
from asset.models import Credential, Environment, HostGroup
from callbacks import subscriptions as callback_rules
from callbacks.models import Callback, EventType
from console.forms.services import ServiceForm
from integrations.models import Setting
from microservice import catalog
from microservice.models import MicroServiceInstance
from tests import factories
from tests.console import admitted, as_a_browser

pytestmark = [pytest.mark.django_db, pytest.mark.found("forms")]
WHO = Caller(name="ada", scopes=frozenset({"admin", "build", "deploy", "publish", "read", "tokens"}), is_fresh=True)
NO_SHRINKING = [Phase.explicit, Phase.generate]  # a failure names its row; to make it smaller takes minutes here
ONCE_EACH = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    phases=NO_SHRINKING,
    database=None,
)

# --- forms posted unchanged -------------------------------------------------------------------------------------------


def rows() -> dict[str, list]:
    """Every row that a page could change, with all its columns; but for sessions, whose last use is noted."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models()
        if "session" not in model._meta.model_name.lower() and model._meta.app_label not in ("contenttypes", "admin")
    }


def post_unchanged(client, address: str, having: str) -> None:
    """Post the page's form that has the field `having`: every row stays as it was, and nothing is refused."""
    shown = client.get(address)
    assert shown.status_code == 200, shown.content
    page = shown.content.decode()
    form = next(one for one in as_a_browser.forms(page) if one.method == "post" and one.has(having))
    before, data = rows(), form.data()
    if ("do", "save") in form.buttons:
        data["do"] = ["save"]
    answer = client.post(form.action or address, data)
    assert answer.status_code == 302, answer.content.decode()
    after = rows()
    assert {name: new for name in after if (new := [row for row in after[name] if row not in before[name]])} == {}
    assert {name: len(found) for name, found in after.items()} == {name: len(found) for name, found in before.items()}


@pytest.fixture(autouse=True)
def never_asked_outside(monkeypatch):
    """Count integrations as tested: no server of the examples exists."""
    from integrations import http_client, probes

    monkeypatch.setattr(probes, "test", lambda document: [])
    monkeypatch.setattr(http_client, "tls", lambda fields: None)


@pytest.mark.slow
@given(admitted.service)
@ONCE_EACH
def test_unchanged_service(admin, fields):
    made = catalog.create_service(WHO, {"name": "shop", **fields, "private_releases": bool(fields["run_as"])})
    post_unchanged(admin, "/services/shop/settings/", "start_command")
    catalog.delete_service(WHO, made)


@pytest.mark.parametrize("value", admitted.HARD, ids=ascii)
def test_unchanged_variable(admin, value):
    fields = {"environment": {"BEFORE": "x", "HARD": value, "Z": ""}, "start_command": "one\ntwo\n"}
    made = catalog.create_service(WHO, {"name": "shop", **fields})
    post_unchanged(admin, "/services/shop/settings/", "environment")
    # And where another field of the page is changed, this one still is what it was.
    page = admin.get("/services/shop/settings/").content.decode()
    form = next(one for one in as_a_browser.forms(page) if one.has("environment"))
    shown = form.data()["environment"][0]
    changed = form.data() | {"description": ["other"], "environment": [shown.replace("BEFORE=x", "BEFORE=y", 1)]}
    assert admin.post("/services/shop/settings/", changed).status_code == 302
    made.refresh_from_db()
    assert made.environment == {"BEFORE": "y", "HARD": value, "Z": ""} and made.description == "other"
    assert made.start_command == "one\ntwo\n"


@given(admitted.host)
@ONCE_EACH
def test_unchanged_host(admin, fields):
    if not Team.objects.filter(name="red").exists():
        create_team(WHO, {"name": "red"})
    key = credentials.create(WHO, {"name": "pw", "kind": "password", "secret": "sesame"})
    made = host_changes.create(WHO, {"hostname": "web1", "credential_id": key.pk, **fields})
    post_unchanged(admin, f"/hosts/{made.pk}/edit/", "hostname")
    made.delete()
    key.delete()


@given(st.dictionaries(admitted.word, st.none() | admitted.limited(admitted.printable, 60), min_size=1, max_size=5))
@ONCE_EACH
def test_unchanged_host_group(admin, labels):
    HostGroup.objects.all().delete()
    made = host_groups.create(WHO, {"name": "eu", "labels": labels})
    post_unchanged(admin, f"/hosts/groups/{made.pk}/", "labels")


@given(st.sampled_from(Environment.Colour.values), st.integers(0, 10**6), st.integers(0, 60 * 24 * 365), st.booleans())
@ONCE_EACH
def test_unchanged_environment(admin, colour, position, soak_minutes, requires):
    Environment.objects.update(requires=None)
    Environment.objects.all().delete()
    first = environments.create(WHO, {"name": "staging"})
    if not Team.objects.filter(name="red").exists():
        create_team(WHO, {"name": "red"})
    values = {"colour": colour, "position": position, "soak_minutes": soak_minutes}
    if requires:
        values |= {"approvals": 2, "approvers": "red", "approve_reverts": True, "tokens_deploy": False, "wait_hours": 9}
        values |= {"default_strategy": {"canary": 2, "on_failure": "revert_all", "pause_between": True}}
    more = {"requires_id": first.pk} if requires else {}
    made = environments.create(WHO, {"name": "production", **values, **more})
    post_unchanged(admin, f"/environments/{made.pk}/", "soak_minutes")


@given(st.sampled_from(["password", "key"]), admitted.word)
@ONCE_EACH
def test_unchanged_credential(admin, kind, name):
    Credential.objects.all().delete()
    secret = "sesame" if kind == "password" else admitted.KEY
    made = credentials.create(WHO, {"name": name, "kind": kind, "secret": secret})
    post_unchanged(admin, f"/credentials/{made.pk}/", "secret")


@given(admitted.instance)
@ONCE_EACH
def test_unchanged_instance(admin, fields):
    row = MicroServiceInstance.objects.first()
    row = row or factories.instances(factories.versions(factories.service(), 1)[0], factories.hosts())[0]
    MicroServiceInstance.objects.filter(pk=row.pk).update(**fields)
    post_unchanged(admin, f"/services/shop/instances/{row.pk}/edit/", "weight")


@given(admitted.person)
@ONCE_EACH
def test_unchanged_user(admin, fields):
    made = create_user(WHO, {"username": "eve", "password": "long-enough-17"})
    change_user(WHO, made, fields)
    post_unchanged(admin, f"/people/{made.pk}/", "username")
    get_user_model().objects.filter(pk=made.pk).delete()


@given(admitted.team)
@ONCE_EACH
def test_unchanged_team(admin, fields):
    made = create_team(WHO, {"name": "red"})
    change_team(WHO, made, fields)
    post_unchanged(admin, f"/teams/{made.pk}/", "description")
    Team.objects.filter(pk=made.pk).delete()


@given(admitted.callback)
@ONCE_EACH
def test_unchanged_callback(admin, fields):
    made, _secret = callback_rules.create(WHO, fields)
    post_unchanged(admin, f"/callbacks/{made.pk}/edit/", "url")
    Callback.objects.filter(pk=made.pk).delete()


@given(admitted.outside)
@ONCE_EACH
def test_unchanged_integrations(admin, document):
    from integrations import revisions

    revisions.save(WHO, document)
    post_unchanged(admin, "/settings/", "gitlab-on")
    Setting.objects.all().delete()


def test_every_form_is_tested():
    """A new page whose form is filled from a row needs a test here."""
    import ast
    from pathlib import Path

    import console.views

    found = set()
    for path in sorted(Path(console.views.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and any(word.arg == "initial" for word in node.keywords):
                found.add(f"{path.stem}.{ast.unparse(node.func)}")
    assert found == {
        "services.ServiceForm",
        "sign_in.SignInForm",
        "builds.BuildForm",  # whether to build what was built already: it is filled from no row
        "services.InstanceForm",
        "services.NewServiceForm",  # a name proposed where it was missing, as are those of a credential and a token
        "credentials.CredentialForm",
        "account.TokenForm",
        "host_groups.HostGroupForm",
        "environments.EnvironmentForm",
        "versions.NewVersionForm",
        "recipes.RecipeForm",  # tests/console/views/test_recipes.py
        "deployments.NoteForm",  # tests/console/views/test_notes.py
        "credentials.CredentialChangeForm",
        "hosts.HostImportForm",  # what was pasted, shown again: it is filled from no row
        "hosts.TrustKeyForm",  # the fingerprint pasted with a host that could not be reached
        "hosts.HostForm",
        "people.PersonForm",
        "teams.TeamForm",
        "callbacks.CallbackForm",
    }
    assert {"environment", "steps", "limits", "build_refs"} <= set(ServiceForm.base_fields)


def test_unchanged_field_keeps_value(admin):
    """Blanks at the ends, which forms take away, and the order in which boxes were saved."""
    catalog.create_service(WHO, {"name": "shop", "description": "  two  ", "auto_deploy_tag": " tag "})
    post_unchanged(admin, "/services/shop/settings/", "description")
    made, _secret = callback_rules.create(WHO, {"url": "https://a.example/", "events": list(EventType.values)[::-1]})
    post_unchanged(admin, f"/callbacks/{made.pk}/edit/", "url")
