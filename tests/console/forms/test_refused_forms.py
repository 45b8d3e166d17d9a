"""After a form was refused the page's head shows what is saved; typed values are in the fields, and only there."""

import pytest
from django.contrib.auth import get_user_model

from access.callers import Caller
from access.models import Team
from access.problems import Problem
from asset import hosts as host_changes
from callbacks import subscriptions as callback_rules
from callbacks.models import Callback
from microservice import catalog
from microservice import instances as instance_changes
from microservice.models import MicroService
from tests import factories
from tests.console import as_a_browser

pytestmark = [pytest.mark.django_db, pytest.mark.found("forms")]
WHO = Caller(name="ada", scopes=frozenset({"admin", "build", "deploy", "publish", "read", "tokens"}), is_fresh=True)

# Each edit page: a field of its form, what is typed that would be saved, what is refused, by the form or by the rules.
PAGES = {
    "service": (
        "/services/shop/settings/",
        "start_command",
        {"description": "unsaved", "language": "go"},
        [
            {"environment": "1A=b"},
            {"steps": "[1]"},
            {"check_timeout": "x"},
            {"limits": '{"a": 1}'},
            {"run_as": "no good"},
            {"description": "unsaved\0"},
            {"auto_deploy_tag": "a\tb"},
            {"build_url": "https://u:p@h/"},
        ],
    ),
    "host": (
        "/hosts/HOST/edit/",
        "hostname",
        {"description": "unsaved", "hostname": "unsaved"},
        [
            {"ip": "300.1.1.1"},
            {"hostname": "taken"},
            {"port": "x"},
            {"base_path": "/other"},
            {"jump_host_id": "nosuch"},
            {"credential_id": "nosuch"},
            {"jump_host_id": "host1"},
        ],
    ),
    "person": (
        "/people/PERSON/",
        "username",
        {"username": "unsaved", "active": []},
        [
            {"username": "ada"},
            {"username": "un saved"},
            {"email": "x"},
            {"password": "1"},
        ],
    ),
    "team": (
        "/teams/TEAM/",
        "description",
        {"name": "unsaved", "description": "unsaved"},
        [
            {"name": "taken"},
            {"name": "123"},
            {"description": "un\tsaved"},
        ],
    ),
    "callback": (
        "/callbacks/CALLBACK/edit/",
        "url",
        {"url": "https://unsaved.example/"},
        [
            {"events": ["x"]},
            {"headers": "a"},
            {"secret": "x"},
            {"url": "https://unsaved.example:x/"},
        ],
    ),
}
CASES = [(*page[:3], bad) for page in PAGES.values() for bad in page[3]]


@pytest.fixture
def places(db):
    versions = factories.versions(factories.service("shop", description="as it is"), 1)
    hosts = factories.hosts(1)
    factories.instances(versions[0], hosts)
    factories.hosts(1, prefix="taken")
    type(hosts[0]).objects.filter(hostname__startswith="taken").update(hostname="taken")
    person = get_user_model().objects.create_user("eve", password="long-enough-17")
    Team.objects.create(name="taken")
    team = Team.objects.create(name="red", description="as it is")
    callback = Callback.objects.create(url="https://example.org/", events=["deployment.ended"])
    return {"HOST": hosts[0].pk, "PERSON": person.pk, "TEAM": team.pk, "CALLBACK": callback.pk}


@pytest.mark.parametrize(("address", "having", "typed", "bad"), CASES, ids=[f"{case[0]} {case[3]}" for case in CASES])
def test_heading_shows_saved_name(admin, places, address, having, typed, bad):
    for name, number in places.items():
        address = address.replace(name, str(number))
        bad = {
            field: value.replace(name, str(number)) if isinstance(value, str) else value for field, value in bad.items()
        }
    shown = admin.get(address).content.decode()
    form = next(one for one in as_a_browser.forms(shown) if one.method == "post" and one.has(having))
    answer = admin.post(form.action or address, form.data() | typed | bad)
    assert answer.status_code == 422, answer
    page = answer.content.decode()
    assert as_a_browser.head(page) == as_a_browser.head(shown)
    again = next(one for one in as_a_browser.forms(page) if one.method == "post" and one.has(having)).data()
    for name, value in (typed | bad).items():
        if name not in ("password", "secret", "events", "active", "headers") and "\0" not in value:
            assert again[name][0].replace("\r\n", "\n") == value, "what was typed stays"
    assert as_a_browser.head(admin.get(address).content.decode()) == as_a_browser.head(shown)


@pytest.mark.parametrize(
    ("change", "row", "fields"),
    [
        (catalog.change_service, lambda: MicroService.objects.get(), {"description": "x", "steps": [1]}),
        (host_changes.change, lambda: factories.hosts(1)[0], {"description": "x", "hostname": "taken"}),
        (callback_rules.change, lambda: Callback.objects.get(), {"url": "https://x.example/", "events": ["x"]}),
        (instance_changes.change, lambda: MicroService.objects.get().instances.get(), {"tag": "x", "port": 1}),
    ],
    ids=["service", "host", "callback", "instance"],
)
def test_refused_row_is_unchanged(places, change, row, fields):
    MicroService.objects.get().instances.update(locked=True)
    held = row()
    before = {field.attname: getattr(held, field.attname) for field in held._meta.concrete_fields}
    with pytest.raises(Problem):
        change(WHO, held, fields)
    assert {field.attname: getattr(held, field.attname) for field in held._meta.concrete_fields} == before
