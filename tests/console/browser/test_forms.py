"""Forms in Chromium: several lines typed into each text area, and what is posted twice."""

import re
import subprocess
import sys

import pytest
from django import forms as django_forms
from playwright.sync_api import expect

from console.forms import (
    callbacks,
    confirmations,
    containers,
    credentials,
    hosts,
    people,
    recipes,
    secrets,
    services,
    settings,
)
from demo.service import definition
from tests.console.browser.greeter import later
from tests.lab.keys import new_key

pytestmark = [pytest.mark.browser, pytest.mark.demo, pytest.mark.found("forms")]
LINES = "set -e\nif true; then\n\techo 'one  two'\nfi\n"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


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
    "fingerprint",  # in test_adding_hosts.py
    "allowed",
}
RECIPE = {
    "apt_sources": "deb https://deb.example.org/a b main\ndeb https://deb.example.org/c d main\n",
    "pip_packages": "flask==3.0\nrequests\n",
    "conda_packages": "numpy\nscipy=1.11\n",
    "own_files": '[\n  {"path": "/etc/shop.conf",\n   "text": "a=1\\nb=2\\n"}\n]\n',
    "run": "set -e\nmake install\n\nmake clean\n",
    "env": "A=1\nB='x=y'\n",
    "entrypoint": "/bin/sh\n-c\n'echo \"two  words\"'\n",
    "cmd": "--port 8080\n",
}
CONTAINER = {
    "publish": "$PORT:8080\n127.0.0.1:53:53/udp\n",
    "volumes": "$SHARED/data:/var/lib/data\n/etc/tls:/tls:ro\n",
    "options": "--read-only\n--label=team=shop\n",
    "arguments": "--verbose\ntwo words\n",
}


def test_every_text_area_is_tested():
    found = set()
    modules = (callbacks, confirmations, containers, credentials, hosts, people, recipes, secrets, services, settings)
    for module in modules:
        for form in vars(module).values():
            if isinstance(form, type) and issubclass(form, django_forms.Form):
                found |= {
                    name for name, field in form.base_fields.items() if isinstance(field.widget, django_forms.Textarea)
                }
    assert found == {*COMMANDS, *ELSEWHERE, *RECIPE, *CONTAINER}


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
    expect(page.locator("#findings")).to_contain_text(re.compile("PEM|certificate", re.IGNORECASE), timeout=later())
    expect(part.get_by_label("Team projects")).to_have_value("red/* = red\nblue/site = blue\n")


def test_lines_of_a_recipe(visit, client):
    client.post("services/", {"name": "cooked", "build_orig": "image"})
    page = visit("/services/cooked/recipe/")
    page.get_by_label("Base image").fill("debian:12")
    for name, lines in RECIPE.items():
        page.locator(f"[name={name}]").fill(lines)
    saved = None
    for _unchanged in range(2):
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("The recipe was saved.")).to_be_visible()
        assert saved in (None, client.get("services/cooked")["recipe"])
        saved = client.get("services/cooked")["recipe"]
    assert saved["run"] == ["set -e\nmake install", "make clean"] and saved["env"] == {"A": "1", "B": "x=y"}
    assert saved["files"] == [{"path": "/etc/shop.conf", "text": "a=1\nb=2\n"}]
    assert saved["entrypoint"] == ["/bin/sh", "-c", 'echo "two  words"'] and saved["cmd"] == ["--port", "8080"]
    assert saved["pip"] == {"packages": ["flask==3.0", "requests"]} and len(saved["apt"]["sources"]) == 2
    assert saved["conda"] == {"packages": ["numpy", "scipy=1.11"]}


def test_lines_of_a_container(visit, client):
    client.post("services/", {"name": "contained"})
    page = visit("/services/contained/settings/")
    page.get_by_text("Fill in the commands for a container").click()
    for name, lines in CONTAINER.items():
        page.locator(f"[name$={name}]").fill(lines)
    page.get_by_role("button", name="Fill in the commands").click()
    expect(page.get_by_text("Nothing is saved yet: look at them")).to_be_visible()
    start = page.locator("[name=start_command]").input_value()
    for word in ("8080", "127.0.0.1:53:53/udp", "/var/lib/data", "/etc/tls:/tls:ro", "--read-only", "two words"):
        assert word in start
    assert "\r" not in start
    for name, lines in CONTAINER.items():
        expect(page.locator(f"[name$={name}]")).to_have_value(lines)


def test_lines_of_allowed_receivers(visit, client):
    page = visit("/settings/#callbacks")
    part = page.locator("#callbacks")
    part.get_by_label("Enabled").check()
    part.get_by_label("Allowed private receivers").fill("10.0.0.0/8\n*.internal\nnot a name!\n")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("#findings")).to_contain_text("contains “name!”", timeout=later())
    expect(part.get_by_label("Allowed private receivers")).to_have_value("10.0.0.0/8\n*.internal\nnot a name!\n")
    part.get_by_label("Allowed private receivers").fill("10.0.0.0/8\n*.internal\n")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("#findings")).to_contain_text("Callback receivers", timeout=later())


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
