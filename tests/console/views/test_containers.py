"""The part of a service's settings that fills in its commands for a container."""

import re

import pytest

from audit.models import History
from microservice.catalog.container_commands import commands
from microservice.catalog.containers import Container
from microservice.models import MicroService
from tests import factories
from tests.console import as_a_browser

pytestmark = pytest.mark.django_db
PATH = "/services/shop/settings/"
TYPED = {
    "container-publish": "$PORT:8080\r\n\r\n 127.0.0.1:9:9 ",
    "container-volumes": "$SHARED/data:/data",
    "container-variables": "DB_PASSWORD  GREETING",
    "container-restart": "always",
    "container-memory": "512m",
    "container-stop_seconds": "0",
    "container-options": "--read-only",
    "container-check": "url",
    "container-check_value": "http://127.0.0.1:$PORT/",
}
WANTED = Container(
    publish=("$PORT:8080", "127.0.0.1:9:9"),
    volumes=("$SHARED/data:/data",),
    variables=("DB_PASSWORD", "GREETING"),
    restart="always",
    memory="512m",
    stop_seconds=0,
    options=("--read-only",),
    check="url",
    check_value="http://127.0.0.1:$PORT/",
)


@pytest.fixture
def shop():
    from access.callers import SYSTEM
    from microservice import catalog

    service = factories.service("shop", start_command="./old", environment={"SAVED": "1"})
    return catalog.change_service(SYSTEM, service, {"secrets": {"DB_PASSWORD": "very secret"}})


def settings_form(answer) -> as_a_browser.Form:
    return next(form for form in as_a_browser.forms(answer.content.decode()) if form.has("start_command"))


def fill(client, **typed):
    data = settings_form(client.get(PATH)).data()
    for name, text in {**TYPED, **typed}.items():
        data[name] = [text]
    return client.post(PATH, {**data, "fill": "container"})


def test_fills_in_and_saves_only_then(admin, shop):
    before = History.objects.count()
    answer = fill(admin, environment="GREETING=hello", description="typed before")
    assert answer.status_code == 200 and "Nothing is saved yet" in answer.content.decode()
    shop.refresh_from_db()
    assert (shop.start_command, History.objects.count()) == ("./old", before)
    data = settings_form(answer).data()
    made = commands(WANTED)
    assert {name: data[name] for name in made} == {name: [text.replace("\n", "\r\n")] for name, text in made.items()}
    assert data["description"] == ["typed before"] and data["environment"] == ["GREETING=hello"]
    assert {name: data[name][0].split() for name in TYPED} == {name: text.split() for name, text in TYPED.items()}
    assert admin.post(PATH, data).status_code == 302
    shop.refresh_from_db()
    assert {name: getattr(shop, name) for name in made} == made
    assert "very secret" not in shop.start_command and "--env DB_PASSWORD" in shop.start_command


WRONG = [
    {"container-publish": "80"},
    {"container-volumes": "data"},
    {"container-variables": "NOWHERE"},
    {"container-restart": "sometimes"},
    {"container-memory": "a lot"},
    {"container-cpus": "-1"},
    {"container-stop_seconds": "soon"},
    {"container-options": "--name=x"},
    {"container-arguments": "$(id)"},
    {"container-check": "smell"},
    {"container-check_value": "ftp://x"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: next(iter(wrong)))
def test_errors_stand_at_their_fields(admin, shop, wrong):
    answer = fill(admin, environment="GREETING=hello", description="typed before", **wrong)
    page = answer.content.decode()
    assert answer.status_code == 422 and "Nothing is saved yet" not in page
    assert set(re.findall(r'id="id_([\w-]+)-wrong"', page)) == set(wrong)
    data = settings_form(answer).data()
    assert data["start_command"] == ["./old"] and data["description"] == ["typed before"]
    kept = {
        name: text for name, text in {**TYPED, **wrong}.items() if name not in ("container-restart", "container-check")
    }
    assert {name: data[name][0].split() for name in kept} == {name: text.split() for name, text in kept.items()}


def test_a_refused_save_keeps_what_was_typed(admin, shop):
    data = settings_form(admin.get(PATH)).data()
    assert "container-publish" in data
    answer = admin.post(
        PATH, {**data, "keep_releases": "0", "container-publish": "80\r\n81", "container-check": "port"}
    )
    assert answer.status_code == 422
    page = answer.content.decode()
    assert set(re.findall(r'id="id_([\w-]+)-wrong"', page)) == {"keep_releases"}
    again = settings_form(answer).data()
    assert (again["container-publish"][0].split(), again["container-check"]) == (["80", "81"], ["port"])


def test_enter_saves(admin, shop):
    page = admin.get(PATH).content.decode()
    form = page[page.index('class="stack" data-once') :]
    assert "name=" not in re.search(r"<button[^>]*>", form)[0], "the first button is the one that Enter presses"


def test_needs_the_right_to_change_the_service(viewer, shop):
    assert "container-publish" not in viewer.get(PATH).content.decode()
    assert viewer.post(PATH, {**TYPED, "fill": "container"}).status_code == 403


def test_offered_by_the_api(api, shop):
    body = {"publish": ["$PORT:8080"], "variables": ["DB_PASSWORD"], "check": "port", "check_value": "8080"}
    answer = api(scopes=("read",)).post("/services/shop/container-commands", body)
    assert answer.status_code == 200, answer.content
    wanted = Container(publish=("$PORT:8080",), variables=("DB_PASSWORD",), check="port", check_value="8080")
    assert answer.json() == commands(wanted)
    assert MicroService.objects.get().start_command == "./old"
    changed = api(scopes=("read", "admin")).patch("/services/shop", answer.json())
    assert changed.status_code == 200 and MicroService.objects.get().start_command == commands(wanted)["start_command"]


def test_errors_have_pointers_in_the_api(api, shop):
    answer = api().post("/services/shop/container-commands", {"publish": ["80"], "variables": ["X"], "check": "smell"})
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/publish", "/variables", "/check"}
    assert api().post("/services/shop/container-commands", {"image": "x"}).status_code == 422
