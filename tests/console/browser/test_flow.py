"""What operators do with a service from its package to its way back, watched in Chromium over real SSH."""

import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from demo.client import Client
from demo.misbehave import SAID
from demo.service import definition
from tests.console.browser.demo import PHONE
from tests.console.browser.greeter import Greeter, confirm, ended, is_in, later, soon, version_name

pytestmark = [pytest.mark.browser, pytest.mark.demo]


@pytest.fixture(scope="module")
def greeter(demo) -> Greeter:
    return Greeter(demo, "greeter", build_url="https://github.com/team/greeter")


def test_publish_canary_pause_failure_retry_revert(visit, greeter, tmp_path):
    greeter.at_version(1)
    package = tmp_path / "greeter.tar.gz"
    package.write_bytes(definition.package(version_name(3)))
    page = visit("/services/greeter/versions/new/")
    page.get_by_label("Version").fill(version_name(3))
    page.get_by_role("button", name=re.compile("Add and upload")).click()
    page.locator("#package").set_input_files(package)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("SHA-256", exact=True)).to_be_visible(timeout=soon())
    greeter.ids[3] = int(re.search(r"/versions/(\d+)/", page.url)[1])

    greeter.misbehave("web-iad-1", "fail", "start")
    fleet = visit("/")
    page.goto(greeter.dialog(1, "upgrade", "?canary=1&pause_between=on"))
    expect(page.locator("#plan")).to_contain_text("2 versions ahead")
    link = page.get_by_role("link", name="Compare the versions")
    expect(link).to_have_attribute("href", "https://github.com/team/greeter/compare/1111111...3333333")
    confirm(page, rf"Upgrade 4 hosts from {version_name(1)} to {version_name(3)}")
    is_in(page, "paused", "1 of 4 hosts done")
    expect(page.locator("#waiting")).to_contain_text("someone to resume it")
    expect(fleet.get_by_role("row", name=re.compile("greeter"))).to_contain_text("paused", timeout=soon())
    page.get_by_role("button", name="Resume").click()
    is_in(page, "failed", "3 of 4 hosts succeeded")
    first = page.locator("li.cause")
    expect(first).to_have_count(1)
    for words in ("start", "exit status", SAID["start"], "web-iad-1"):
        expect(first).to_contain_text(words)
    expect(page).to_have_title(re.compile("^✗ greeter"))
    expect(page.locator("tr[data-wrong]")).to_contain_text("web-iad-1")
    expect(fleet.get_by_role("row", name=re.compile("greeter"))).to_contain_text("failed", timeout=soon())

    first.get_by_role("link", name=re.compile(r"Line \d+ of the output")).click()
    expect(page.locator("li:target")).to_contain_text(SAID["start"])
    page.go_back()
    first.get_by_role("link", name="Open", exact=True).click()
    expect(page.locator("#what-went-wrong")).to_contain_text("The new version did not start")
    expect(page.locator("#by-hand")).to_contain_text("ssh -p ")
    greeter.misbehave("web-iad-1", "heal")
    failed = page.url
    page.get_by_role("button", name="Retry failed operations").click()
    page.wait_for_url("**/deployments/*/")
    is_in(page, "succeeded", "1 of 1 host succeeded")
    page.goto(failed)
    expect(page.get_by_label("Attempts side by side")).to_contain_text("attempt 2")

    page.goto(greeter.dialog(3, "revert"))
    page.locator(f"#dest_version-{greeter.ids[1]}").check()
    confirm(page, rf"Revert 4 hosts from {version_name(3)} to {version_name(1)}")
    is_in(page, "succeeded", "4 of 4 hosts succeeded")


def test_keys_work_and_can_be_turned_off(visit, greeter):
    greeter.at_version(1)
    page = visit("/services/greeter/instances/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr:focus-within")).to_contain_text("web-fra-2")
    page.keyboard.press("k")
    expect(page.locator("tr:focus-within")).to_contain_text("web-fra-1")
    page.goto("/?q=greeter")
    page.keyboard.press("u")
    page.wait_for_url("**/upgrade/")
    page.locator(f"#dest_version-{greeter.ids[2]}").focus()
    page.keyboard.press("Space")
    expect(page.locator("#confirm")).to_have_text(re.compile(version_name(2)))
    page.locator("#confirm").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/deployments/*/")
    is_in(page, "succeeded")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/operations/*/")
    page.go_back()
    page.wait_for_url("**/deployments/*/")
    is_in(page, "succeeded")
    page.keyboard.press("x")
    page.wait_for_url("**/revert/")
    expect(page.locator("#plan")).to_contain_text(version_name(1), timeout=soon())
    expect(page.locator("#confirm")).to_have_text("Revert 4 hosts")
    page.locator("#confirm").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/deployments/\d+/$"))
    is_in(page, "succeeded", "4 of 4")

    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(keys).to_contain_text("next error")
    keys.get_by_label("Enable keyboard shortcuts").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    page.goto("/")
    page.keyboard.press("j")
    page.keyboard.press("?")
    expect(page.locator("tbody tr:focus-within")).to_have_count(0)
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    page.get_by_role("button", name="My account:").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_label("Enable keyboard shortcuts").check()
    page.keyboard.press("Escape")
    page.get_by_label("Service name").fill("")
    page.keyboard.type("jk?x")
    expect(page.get_by_label("Service name")).to_have_value("jk?x")


def test_page_survives_killed_web_server(visit, greeter, demo):
    greeter.at_version(1)
    greeter.misbehave("web-fra-2", "hang", "check")
    page = visit(greeter.dialog(1, "upgrade", f"?dest_version={greeter.ids[2]}"))
    address = confirm(page, "Upgrade 4 hosts")
    expect(page.get_by_label("Progress")).to_contain_text("3 of 4 hosts done", timeout=later())
    os.kill(_web(demo["pid"]), signal.SIGKILL)
    expect(page.locator("#stale")).to_be_visible(timeout=soon())
    expect(page.locator("#stale")).to_be_hidden(timeout=later())
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel deployment").click()
    is_in(page, "cancelled", "3 of 4 hosts succeeded")
    assert page.url == address
    greeter.misbehave("web-fra-2", "heal")


def _web(demo: int) -> int:
    """Return the process id of the demo's web server: the demo's own child."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == demo and b"gunicorn" in words:
                return int(entry.name)
    raise AssertionError("no web server below the demo")


def test_starts_one_deployment_only(visit, greeter):
    greeter.at_version(1)
    greeter.misbehave("web-iad-2", "hang", "check")
    first, second = visit(greeter.dialog(1, "upgrade")), visit(greeter.dialog(1, "upgrade"), viewport=PHONE)
    for page in (first, second):
        expect(page.locator("#confirm")).to_be_enabled()
    watching = visit("/services/greeter/instances/")
    row = watching.get_by_role("row", name=re.compile("web-iad-2"))
    number = next(one["id"] for one in greeter.client.all("services/greeter/instances/") if "web-iad-2" in one["host"])
    for maintained in (True, False):
        greeter.client.patch(f"services/greeter/instances/{number}", {"is_maintain": maintained})
        expect(row.get_by_text("in maintenance")).to_have_count(int(maintained), timeout=soon())
    count = len(greeter.client.all("deployments/"))
    first.locator("#confirm").dblclick()
    first.wait_for_url("**/deployments/*/")
    address = first.url
    expect(row).to_contain_text("locked", timeout=soon())
    expect(row).to_contain_text("by demo")
    second.locator("#confirm").click()
    refusal = second.get_by_role("alert").first
    expect(refusal).to_contain_text(re.compile("locked|nothing to do", re.IGNORECASE), timeout=soon())
    expect(refusal).to_contain_text(f"deployment {address.rstrip('/').split('/')[-1]}")
    first.go_back()
    first.wait_for_load_state()
    button = first.locator("#confirm")
    if button.count():
        button.click()
        first.wait_for_load_state()
    assert len(greeter.client.all("deployments/")) == count + 1
    first.goto(address)
    first.get_by_role("button", name="Cancel…").click()
    first.get_by_role("button", name="Cancel deployment").click()
    is_in(first, "cancelled")
    greeter.misbehave("web-iad-2", "heal")


def test_hostile_output_is_escaped_and_searched(visit, demo):
    """A service whose command prints what could harm a page or mislead a reader, and a line of a megabyte."""
    hostile = "hostile"
    command = (
        r"printf '\033[31mred\033[0m <script>window.harmed=1</script><img src=x onerror=window.harmed=1>\n';"
        r"printf '\033]8;;javascript:window.harmed=1\033\\click me\033]8;;\033\\\n';"
        r"printf 'nul \000 and \342\200\256dlrow olleh\n';"
        r"head -c 1000000 /dev/zero | tr '\000' x; echo; i=0; while [ $i -lt 2000 ]; do echo row $i;"
        r" i=$((i + 1)); done;"
        r"echo 'an error at last'; "
    )
    host = demo["hosts"][0]
    client = Client(demo["url"], demo["token"])
    body = {"name": hostile, "start_command": command, "stop_command": "true", "check_command": "true"}
    client.post("services/", body)
    version = client.post(f"services/{hostile}/versions/", {"version": "1.0-a"})["id"]
    client.put_package(f"services/{hostile}/versions/{version}/package", definition.package("1.0-a"))
    accepted = client.post(f"services/{hostile}/versions/{version}/install", {"host": [host["id"]]})
    assert ended(client, accepted["id"])["status"] == "succeeded"
    operation = client.all(f"deployments/{accepted['id']}/operations/")[0]["id"]

    page = visit(f"/operations/{operation}/log/?line=1")
    log = page.locator("#log")
    expect(log).to_contain_text("<script>window.harmed=1</script>")
    expect(log.locator(".t-red", has_text="red")).to_be_visible()
    expect(log).to_contain_text("click me")
    expect(log).to_contain_text("U+202E")
    expect(log).to_contain_text("the rest of this line is not shown")
    assert page.evaluate("window.harmed") is None and log.locator("img, script, a[href^=javascript]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]

    page.keyboard.press("/")
    page.keyboard.type("ROW 19")
    page.keyboard.press("Enter")
    hits = page.locator("#hits")
    expect(hits).to_contain_text("111 hits")  # row 19, 190 to 199, 1900 to 1999
    page.keyboard.press("e")
    expect(page.locator("li:target")).to_contain_text("row 19")
    expect(hits).to_contain_text("1 / 111")
    page.keyboard.press("e")
    expect(page.locator("li:target")).to_contain_text("row 190")
    page.get_by_role("button", name="Previous").click()
    expect(page.locator("li:target")).to_contain_text("row 19")
    page.get_by_role("link", name="Errors only").click()
    page.get_by_role("button", name="Previous").click()  # from the end
    expect(page.locator("li:target")).to_contain_text("an error at last")
    page.goto(f"/operations/{operation}/log/#L1000")
    expect(page.locator("#L1000")).to_be_in_viewport()
    page.get_by_label("Wrap").uncheck()
    expect(log).to_have_class(re.compile("unwrapped"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"operation-{operation}.log"
