"""Forms in Chromium: several lines typed into each text area, and one click on a dialog right after typing."""

import re
import subprocess
import sys
import time

import pytest
from django import forms as django_forms
from playwright.sync_api import Page, expect

from console.forms import callbacks, credentials, hosts, people, secrets, services, settings
from demo.client import Client
from demo.service import definition
from tests.console.browser.greeter import LATER, Greeter, version_name
from tests.lab.keys import new_key

pytestmark = [pytest.mark.browser, pytest.mark.demo, pytest.mark.found("forms")]
LINES = "set -e\nif true; then\n\techo 'one  two'\nfi\n"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def client(demo):
    """Whose hosts and callbacks are those that other files know, when the test is over."""
    client = Client(demo["url"], demo["token"])
    before = {of: {row["id"] for row in client.all(of)} for of in ("hosts/", "callbacks/")}
    yield client
    for of, known in before.items():
        for row in client.all(of):
            if row["id"] not in known:
                client.send("DELETE", f"{of}{row['id']}")


@pytest.fixture(scope="module")
def clicker(demo) -> Greeter:
    return Greeter(demo, "clicker")


# --- text areas -------------------------------------------------------------------------------------------------------

COMMANDS = [name for name in services.ServiceForm.base_fields if name.endswith("_command")]
ELSEWHERE = {
    "environment",
    "steps",
    "limits",
    "host_key",
    "labels",
    "secret",
    "headers",
    "value",
    "projects",
    "ca",
    "client_cert",
    "client_key",
}


def test_every_text_area_is_tested():
    found = set()
    for module in (services, callbacks, credentials, hosts, people, secrets, settings):
        for form in vars(module).values():
            if isinstance(form, type) and issubclass(form, django_forms.Form):
                found |= {
                    name for name, field in form.base_fields.items() if isinstance(field.widget, django_forms.Textarea)
                }
    assert found == {*COMMANDS, *ELSEWHERE}


def test_changes_one_field_only(visit, client):
    before = client.get(f"services/{definition.NAME}")
    page = visit(f"/services/{definition.NAME}/settings/")
    page.get_by_label("Description").first.fill("The demo's service: a process that says its version")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(f"{definition.NAME} was saved.")).to_be_visible()
    after = client.get(f"services/{definition.NAME}")
    assert {name for name in after if after[name] != before[name]} <= {"description", "updated", "updated_by"}
    assert after["start_command"] == definition.service(sys.executable)["start_command"]
    client.patch(f"services/{definition.NAME}", {"description": before["description"]})


def test_multiline_fields_of_service(visit, client):
    client.post("services/", {"name": "lines"})
    page = visit("/services/lines/settings/")
    for name in COMMANDS:
        page.locator(f"[name={name}]").fill(LINES)
    page.locator("[name=environment]").fill(f"A=1\nCA=\"{PEM}\"\n\nB='x=y'\n")
    page.locator("[name=steps]").fill('[\n  {"name": "warm", "before": "post",\n   "run": "./warm\\nsleep 1"}\n]\n')
    page.locator("[name=limits]").fill('{\n  "step_timeout": 30\n}\n')
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("lines was saved.")).to_be_visible()
    saved = client.get("services/lines")
    assert {name: saved[name] for name in COMMANDS} == dict.fromkeys(COMMANDS, LINES)
    assert saved["environment"] == {"A": "1", "CA": PEM, "B": "x=y"} and saved["limits"] == {"step_timeout": 30}
    assert saved["steps"] == [{"name": "warm", "before": "post", "run": "./warm\nsleep 1"}]
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("lines was saved.")).to_be_visible()
    assert client.get("services/lines") == saved

    page.locator("[name=environment]").fill('A=1\nCA="never ends\n')
    page.get_by_label("Description").first.fill("unsaved")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("it must end with the same quote")).to_be_visible()
    expect(page.locator("[name=environment]")).to_have_value('A=1\nCA="never ends\n')
    expect(page.locator("p.lead")).not_to_contain_text("unsaved")

    for of, lines in (("secrets", "one\ntwo\nthree"), ("build_key", KEY_TEXT)):
        page.goto("/services/lines/settings/")
        page.locator("select[name=of]").select_option(of)
        page.locator("#secret_name").fill("" if of == "build_key" else "KEY")
        page.locator("[name=value]").fill(lines)
        page.get_by_role("button", name="Save secret").click()
        expect(page.get_by_text("The secret was saved.")).to_be_visible()


KEY_TEXT = new_key()


def test_multiline_fields_elsewhere(visit, client, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    page = visit("/credentials/")
    page.get_by_label("Name").fill("pasted")
    page.locator("[name=secret]").fill((tmp_path / "key").read_text())
    page.get_by_role("button", name="Add credential").click()
    expect(page.get_by_text("pasted was added.")).to_be_visible()

    public = " ".join((tmp_path / "key.pub").read_text().split()[:2])
    page.goto("/hosts/new/")
    page.get_by_label("Hostname").fill("lined")
    page.get_by_label("Address", exact=True).fill("192.0.2.77")
    page.locator("[name=host_key]").fill(f"{public} root@lined\n\n")
    page.locator("[name=labels]").fill("zone=eu\nrack=7\n")
    page.get_by_role("button", name="Add host").click()
    expect(page.get_by_role("heading", name="lined")).to_be_visible()
    made = next(one for one in client.all("hosts/") if one["hostname"] == "lined")
    assert made["host_key"] == public and made["labels"] == {"zone": "eu", "rack": "7"}

    page.goto("/callbacks/new/")
    page.get_by_label("URL").fill("https://example.org/hook")
    page.get_by_label("Custom headers").fill("X-Team: sales\nX-Place: here\n")
    page.get_by_role("button", name="Add callback").click()
    expect(page.get_by_text("X-Place: ")).to_be_visible()

    page.goto("/settings/")
    part = page.locator("#gitlab")
    part.get_by_label("Enabled").check()
    part.get_by_label("URL").fill("http://127.0.0.1:9")
    part.get_by_label("Team projects").fill("red/* = red\nblue/site = blue\n")
    part.get_by_text("Certificates").click()
    for name in ("ca", "client_cert", "client_key"):
        part.locator(f"[name=gitlab-{name}]").fill(PEM)
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("#findings")).to_contain_text(re.compile("PEM|certificate", re.IGNORECASE), timeout=LATER)
    expect(part.get_by_label("Team projects")).to_have_value("red/* = red\nblue/site = blue\n")


# --- one click --------------------------------------------------------------------------------------------------------


def slowly(page: Page, seconds: float) -> None:
    """From now on every answer takes that much longer."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    slow = {"offline": False, "latency": seconds * 1000, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", slow)


def settled(greeter: Greeter, number: int) -> None:
    for row in greeter.client.all("deployments/")[:3]:
        greeter.client.get(f"deployments/{row['id']}?wait=30")
    greeter.at_version(number)


def started(page: Page, client: Client) -> dict:
    page.wait_for_url("**/deployments/*/", timeout=LATER)
    return client.get(f"deployments/{re.search(r'/deployments/([0-9]+)/', page.url)[1]}")


@pytest.mark.parametrize(
    ("field", "typed", "sent", "delay"),
    [
        pytest.param("canary", "1", {"canary": 1}, 0, id="canary-quick"),
        pytest.param("canary", "1", {"canary": 1}, 2, id="canary-slow"),  # for the others, too
        pytest.param("batch_size", "50%", {"batch_size": "50%"}, 0, id="batch_size-quick"),
        pytest.param("max_failures", "2", {"max_failures": 2}, 0, id="max_failures-quick"),
    ],
)
def test_first_click_uses_typed_strategy(visit, clicker, client, field, typed, sent, delay):
    settled(clicker, 1)
    page = visit(clicker.dialog(1, "upgrade", f"?dest_version={clicker.ids[2]}"))
    if delay:
        slowly(page, delay)
    page.locator(f"#{field}").press_sequentially(typed)
    page.locator("#confirm").click(no_wait_after=True)
    made = started(page, client)
    assert {name: made["strategy"][name] for name in sent} == sent and made["dest_version"] == clicker.ids[2]


def test_first_click_uses_typed_reason(visit, clicker, client):
    settled(clicker, 2)
    page = visit(clicker.dialog(2, "revert", f"?dest_version={clicker.ids[1]}"))
    page.get_by_label(f"Mark {version_name(2)} as bad").check()
    page.get_by_label("Reason").press_sequentially("leaks")
    page.locator("#confirm").click(no_wait_after=True)
    started(page, client)
    version = client.get(f"services/clicker/versions/{clicker.ids[2]}")
    assert (version["bad"], version["bad_reason"]) == (True, "leaks")
    client.patch(f"services/clicker/versions/{clicker.ids[2]}", {"bad": False})


@pytest.mark.parametrize("delay", [0, 2], ids=["quick", "slow"])
def test_first_click_uses_typed_port(visit, demo, client, delay):
    name = f"fresh{delay}"
    client.post("services/", definition.service(sys.executable) | {"name": name})
    version = client.post(f"services/{name}/versions/", {"version": version_name(1)})
    client.put_package(f"services/{name}/versions/{version['id']}/package", definition.package(version_name(1)))
    page = visit(f"/services/{name}/versions/{version['id']}/install/")
    page.locator(f"#host-{demo['hosts'][0]['id']}").check()
    expect(page.locator("#confirm")).to_have_text(re.compile("on 1 host"))
    if delay:
        slowly(page, delay)
    port = 20000 + int(time.time()) % 20000
    page.locator("#port").fill("")
    page.locator("#port").press_sequentially(str(port))
    page.locator("#confirm").click(no_wait_after=True)
    started(page, client)
    (row,) = client.all(f"services/{name}/instances/")
    assert row["port"] == port


def test_click_on_outdated_plan_shows_new_plan(visit, clicker, client):
    """Also where there was no plan to click on before."""
    settled(clicker, 1)
    count = len(client.all("deployments/"))
    page = visit(clicker.dialog(1, "upgrade", f"?dest_version={clicker.ids[2]}"))
    slowly(page, 1)
    page.locator("#where-some").check()
    page.locator("[name=host]").first.check()
    page.locator("#confirm").click(no_wait_after=True)
    expect(page.locator("#plan-word")).to_be_visible(timeout=LATER)
    expect(page.locator("#confirm")).to_have_text(re.compile("Upgrade 1 host from"))
    page.locator("#canary").press_sequentially("x")
    page.locator("#confirm").click(no_wait_after=True)
    expect(page.locator("#plan [data-confirms]")).to_have_attribute("aria-disabled", "true", timeout=LATER)
    expect(page.locator("#canary-errors")).not_to_be_empty()
    page.locator("#canary").fill("1")
    page.locator("#plan [data-confirms]").click(no_wait_after=True, force=True)  # as people do, who see no attribute
    expect(page.locator("#plan-word")).to_be_visible(timeout=LATER)
    assert len(client.all("deployments/")) == count
    page.locator("#confirm").click(no_wait_after=True)
    assert started(page, client)["strategy"]["canary"] == 1


def test_new_plan_keeps_focus(visit, clicker):
    settled(clicker, 1)
    page = visit(clicker.dialog(1, "upgrade", f"?dest_version={clicker.ids[2]}"))
    slowly(page, 1)
    page.locator("#batch_size").press_sequentially("2")
    page.locator("#confirm").focus()
    expect(page.locator("#plan")).to_contain_text("in 2 batches", timeout=LATER)
    expect(page.locator("#confirm")).to_be_focused()


def test_plan_follows_typing(visit, clicker):
    settled(clicker, 1)
    page = visit(clicker.dialog(1, "upgrade", f"?dest_version={clicker.ids[2]}"))
    page.locator("#batch_size").press_sequentially("2")
    expect(page.locator("#plan")).to_contain_text("in 2 batches")
    page.goto("/")
    page.go_back()
    expect(page.locator("#batch_size")).to_have_value("2")
    expect(page.locator("#plan")).to_contain_text("in 2 batches")


def test_server_rejects_outdated_plan(visit, clicker, client):
    settled(clicker, 1)
    count = len(client.all("deployments/"))
    page = visit(clicker.dialog(1, "upgrade", f"?dest_version={clicker.ids[2]}"))
    page.route(re.compile(r"/upgrade/\?"), lambda route: route.abort())
    page.locator("#canary").press_sequentially("1")
    page.locator("#confirm").click(no_wait_after=True)
    expect(page.get_by_role("alert")).to_contain_text("The plan has changed", timeout=LATER)
    expect(page.locator("#canary")).to_have_value("1")
    expect(page.locator("#plan")).to_contain_text("in 2 batches (1, 3)")
    assert len(client.all("deployments/")) == count


def test_form_sent_twice_adds_one(visit, client):
    page = visit("/new-service/")
    page.get_by_label("Name").fill("twice")
    page.get_by_role("button", name="Add service").dblclick()
    expect(page.get_by_text("twice was added.")).to_be_visible()
    page.go_back()
    page.get_by_label("Name").fill("twice")
    page.get_by_role("button", name="Add service").click()
    expect(page.get_by_text("A service named twice already exists")).to_be_visible()
    assert len([one for one in client.all("services/") if one["name"] == "twice"]) == 1
