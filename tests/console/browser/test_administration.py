"""What administrators do, in Chromium: settings tried and saved, a package dropped on its service, a build watched."""

import base64
import hashlib
import random
import re
import sys

import pytest
from playwright.sync_api import expect

from demo.client import Client
from demo.service import definition
from tests.console.browser.axe import violations
from tests.console.browser.demo import DESKTOP, PHONE
from tests.console.browser.greeter import later
from tests.integrations import servers

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.demo]
HASH = """([size, url]) => new Promise((resolve, reject) => {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 7 + 3) & 255;
  const worker = new Worker(url);
  worker.onmessage = ({ data }) => data.hex ? resolve(data.hex) : data.error && reject(data.error);
  worker.postMessage(new File([bytes], "x"));
})"""
DROP = """(place, [name, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type: "application/gzip" }));
  for (const kind of ["dragover", "drop"])
    place.dispatchEvent(
      new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: carried }));
}"""


def test_failed_settings_test_keeps_input(visit):
    page = visit("/settings/")
    with servers.gitlab() as lab:
        part = page.locator("#gitlab")
        part.get_by_label("Enabled").check()
        part.get_by_label("URL").fill(lab.url)
        part.get_by_label("Access token").fill("glpat-none")
        page.get_by_role("button", name="Test", exact=True).click()
        expect(page.get_by_role("status").filter(has_text="GitLab")).to_contain_text("password is wrong")
        expect(part.get_by_label("Access token")).to_have_value("glpat-none")
        part.get_by_label("Access token").fill("glpat-1234")
        page.get_by_role("button", name="Test and save").click()
        expect(page.get_by_text("The settings passed the test")).to_be_visible()
        expect(page.locator("#gitlab h2")).to_contain_text("configured")
    expect(page.get_by_text("not configured").first).to_be_visible()
    page.get_by_role("link", name="Settings history").click()
    expect(page.get_by_role("row").filter(has_text="current")).to_contain_text("GitLab")


def test_hash_at_block_boundaries(visit):
    page = visit("/services/checkout/versions/")
    url = page.locator("[data-hasher]").get_attribute("data-hasher")
    for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 4 * 1024 * 1024 + 13):
        made = bytes((i * 7 + 3) & 255 for i in range(256)) * (size // 256 + 1)
        assert page.evaluate(HASH, [size, url]) == hashlib.sha256(made[:size]).hexdigest(), size


def test_dropped_package_becomes_version(visit):
    name = f"20260{random.randint(1, 9)}01120000-drop-{random.randrange(16**7):07x}"
    package = definition.package(name)
    page = visit(f"/services/{definition.BUILT}/versions/")
    page.locator("main").evaluate(DROP, ["notes.tar.gz", base64.b64encode(b"no package at all").decode()])
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Upload").click()
    expect(dialog).to_contain_text("Not a .tar.gz")
    dialog.get_by_label("Version").fill("")
    dialog.get_by_role("button", name="Close").click()
    page.goto("/")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=definition.BUILT, exact=True))
    row.evaluate(DROP, [f"{definition.BUILT}-{name}.tar.gz", base64.b64encode(package).decode()])
    expect(dialog.get_by_role("heading")).to_contain_text(definition.BUILT)
    expect(dialog.get_by_label("Version")).to_have_value(name)
    dialog.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible(timeout=later())
    expect(page.get_by_text("matches the hash that your browser computed")).to_be_visible()
    expect(page.get_by_text(hashlib.sha256(package).hexdigest())).to_be_visible()
    page.get_by_text("Mark as bad").first.click()
    page.get_by_label("Reason", exact=True).fill("only a test")
    page.get_by_role("button", name="Mark as bad").click()
    expect(page.get_by_text("only a test").first).to_be_visible()


@pytest.mark.found("packages")
def test_refused_file_names_conversion(demo, visit):
    name = f"other-{random.randrange(16**7):07x}"
    client, versions = Client(demo["url"], demo["token"]), f"services/{definition.NAME}/versions/"
    made = client.post(versions, {"version": name})
    page = visit(f"/{versions}{made['id']}/")
    empty = b"PK\x05\x06" + b"\0" * 18
    for begin, told in ((b"\x28\xb5\x2f\xfd", "zstd -dc package.tar.zst"), (empty, "without any file")):
        page.set_input_files("[type=file]", {"name": "a", "mimeType": "application/x", "buffer": begin + b"\0" * 9000})
        page.get_by_role("button", name="Upload").click()
        expect(page.locator("[data-upload]")).to_contain_text(told)
    client.send("DELETE", f"{versions}{made['id']}")


def test_watches_build(visit):
    page = visit("/")
    page.get_by_role("link", name=definition.BUILT, exact=True).first.click()
    page.get_by_role("link", name="Versions", exact=True).click()
    page.get_by_role("button", name=re.compile("^Build")).first.click()
    expect(page.get_by_label("Build", exact=True)).to_contain_text("success", timeout=later())
    expect(page.get_by_label("Latest output")).to_contain_text("building")
    expect(page.get_by_role("link", name="Install…")).to_be_visible()


def test_build_page_keeps_clicks(demo, visit, client):
    """Polls between press and release, and after it, leave what the user opened."""
    repository = client.get(f"services/{definition.BUILT}")["build_url"]
    client.post(
        "services/",
        definition.built(sys.executable, repository) | {"name": "slow", "build_command": "echo starts; sleep 30"},
    )
    version = client.post("services/slow/versions/", {"version": "1.0", "ref": "master"})["id"]
    page = visit(f"/services/slow/versions/{version}/")
    poll = re.compile(f"/{version}/build/$")
    page.get_by_role("button", name=re.compile("^Build")).first.click()
    expect(page.get_by_label("Latest output")).to_contain_text("starts", timeout=later())
    page.locator("#sandbox summary").hover()
    page.mouse.down()
    for _ in range(2):  # the first is shown by the time that the second is sent
        with page.expect_response(poll):
            pass
    page.mouse.up()
    expect(page.locator("#sandbox")).to_have_attribute("open", "")
    for _ in range(2):
        with page.expect_response(poll):
            pass
    expect(page.locator("#sandbox")).to_have_attribute("open", "")


def test_refused_callback_keeps_input(visit):
    page = visit("/callbacks/new/")
    page.get_by_label("URL").fill("http://127.0.0.1:9/hook")
    page.get_by_label("Custom headers").fill("X-Team: sales")
    page.get_by_role("button", name="Add callback").click()
    expect(page.get_by_text("may not reach")).to_be_visible()
    expect(page.get_by_label("Custom headers")).to_have_value("X-Team: sales")


@pytest.mark.parametrize(("theme", "size"), [("light", DESKTOP), ("dark", PHONE)])
def test_filled_pages_pass_axe_and_fit(demo, visit, theme, size):
    client = Client(demo["url"], demo["token"])
    team = client.find("teams/1") or client.post("teams/", {"name": "a", "members": [{"user": 1, "role": "owner"}]})
    wanted = {"url": "http://a.invalid/", "headers": {"X-A": "b"}}
    told = client.find("callbacks/1") or client.post("callbacks/", wanted)
    client.post(f"callbacks/{told['id']}/test", {})
    page = visit("/settings/", color_scheme=theme, viewport=size)
    wrong = {}
    callback, service = f"/callbacks/{told['id']}/", f"/services/{definition.BUILT}/"
    for address in (
        "/settings/",
        callback,
        f"{callback}edit/",
        f"/teams/{team['id']}/",
        service,
        f"{service}versions/",
        f"{service}versions/1/",
    ):
        page.goto(address)
        page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        if page.get_by_role("button", name="Upload a package…").count():
            page.get_by_role("button", name="Upload a package…").click()
        found = violations(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        if found or width > size["width"]:
            wrong[address] = (width, found)
    assert wrong == {}
