"""Everything that operators do, by keyboard alone: no mouse, and no focus that a person would not reach with Tab."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from demo.misbehave import HANGS, SAID
from tests.console.browser.greeter import Greeter, is_in, soon

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.demo]
MOST_TABS = 150


@pytest.fixture(scope="module")
def keyed(demo) -> Greeter:
    return Greeter(demo, "keyed")


def reach(page: Page, target: Locator) -> None:
    """Tab, until it has the focus; and the focus can be seen."""
    expect(target).to_be_visible()
    for _ in range(MOST_TABS):
        if target.evaluate("element => element === document.activeElement"):
            assert target.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{target} is not reached with Tab")


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    reach(page, target)
    page.keyboard.press(key)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=re.compile(f"^{name}"))


def to_deployment(page: Page) -> None:
    expect(page.locator("#confirm")).to_be_enabled(timeout=soon())
    press(page, page.locator("#confirm"))
    page.wait_for_url("**/deployments/*/")


def test_pauses_resumes_and_cancels_upgrade(visit, keyed):
    keyed.at_version(1)
    keyed.misbehave("web-fra-2", "hang", "check")
    page = visit("/?q=keyed")
    page.keyboard.press("u")
    page.wait_for_url("**/upgrade/")
    reach(page, page.get_by_label("Batch size"))
    page.keyboard.type("1")
    to_deployment(page)
    is_in(page, "running", "1 of 4 hosts done")
    press(page, button(page, "Pause"))
    is_in(page, "paused")
    press(page, button(page, "Resume"))
    is_in(page, "running")
    press(page, button(page, "Cancel…"))
    press(page, button(page, "Cancel deployment"))
    is_in(page, "cancelled", "1 of 4 hosts succeeded")
    keyed.misbehave("web-fra-2", "heal")


def test_finds_reads_and_retries_failure(visit, keyed):
    keyed.at_version(1)
    keyed.misbehave("web-iad-1", "fail", "start")
    page = visit("/services/keyed/versions/")
    page.keyboard.press("j")
    page.keyboard.press("j")  # the older of the two, which runs
    page.keyboard.press("u")
    page.wait_for_url("**/upgrade/")
    to_deployment(page)
    is_in(page, "failed", "3 of 4 hosts succeeded")
    failed = page.url
    page.keyboard.press("e")
    expect(page.locator("tr:focus-within")).to_contain_text("web-iad-1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/operations/*/")
    press(page, page.get_by_role("link", name="Full log"))
    page.wait_for_url("**/log/")
    page.keyboard.press("/")
    page.keyboard.type("gift_cards")
    page.keyboard.press("Enter")
    expect(page.locator("#hits")).to_contain_text("hit", timeout=soon())
    page.keyboard.press("Escape")
    reach(page, page.get_by_role("link", name="Errors only"))
    page.keyboard.press("Enter")
    expect(page.locator("#hits")).to_contain_text("the last lines that step start printed", timeout=soon())
    page.keyboard.press("e")
    expect(page.locator("li:target")).to_contain_text(SAID["start"])
    keyed.misbehave("web-iad-1", "heal")
    page.goto(failed)
    page.keyboard.press("r")
    expect(page.get_by_role("dialog")).to_contain_text("What failed is repeated on 1 host")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/deployments/" in url and url != failed)
    is_in(page, "succeeded", "1 of 1 host succeeded")
    page.goto("/?q=keyed")
    page.keyboard.press("x")
    page.wait_for_url("**/revert/")
    to_deployment(page)
    is_in(page, "succeeded", "4 of 4 hosts succeeded")


def test_selects_and_opens_instances(visit, keyed):
    page = visit("/services/keyed/instances/")
    for name in ("Retry failed", "Start maintenance", "End maintenance", "Delete…"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    expect(page.locator("#ticked")).to_have_text("none selected")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    expect(page.locator("#ticked")).to_have_text("1 selected")
    press(page, button(page, "Start maintenance"))
    row = page.get_by_role("row", name=re.compile("web-fra-2"))
    expect(row.get_by_text("in maintenance")).to_be_visible(timeout=soon())
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/hosts/*/")
    expect(page.get_by_role("heading", name="web-fra-1")).to_be_visible()
    page.goto("/services/keyed/instances/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    press(page, button(page, "Delete…"))
    sure = page.get_by_role("dialog")
    expect(sure.get_by_role("listitem")).to_have_text(["web-fra-2"])
    page.keyboard.press("Escape")
    press(page, button(page, "End maintenance"))
    expect(row.get_by_text("in maintenance")).to_have_count(0, timeout=soon())


def test_deletes_and_installs_again(visit, keyed):
    keyed.at_version(1)
    page = visit("/services/keyed/instances/")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    press(page, button(page, "Delete…"))
    press(page, button(page, "Stop and delete"))
    page.wait_for_url("**/deployments/*/")
    is_in(page, "succeeded", "1 of 1 host succeeded")
    page.goto(f"/services/keyed/versions/{keyed.ids[1]}/")
    press(page, page.get_by_role("link", name="Install…"))
    page.wait_for_url("**/install/")
    page.locator("#find_host[data-htmx-powered]").wait_for()  # a key would come before the script
    page.keyboard.press("j")
    page.keyboard.press("Space")
    expect(page.get_by_label("Plan", exact=True)).to_contain_text("web-fra-1", timeout=soon())
    reach(page, page.get_by_label("Port"))
    page.keyboard.type("99999")
    page.keyboard.press("Tab")
    expect(page.locator("#port-errors")).to_contain_text("65535", timeout=soon())
    expect(page.locator("#confirm")).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("31999")
    page.keyboard.press("Tab")
    expect(page.locator("#port-errors")).to_be_empty(timeout=soon())
    to_deployment(page)
    is_in(page, "succeeded", "1 of 1 host succeeded")


def test_follows_output(visit, keyed):
    keyed.at_version(1)
    keyed.misbehave("web-iad-2", "hang", "check")
    page = visit(keyed.dialog(1, "upgrade"))
    to_deployment(page)
    is_in(page, "running", "3 of 4 hosts done")
    row = page.get_by_role("row", name=re.compile("web-iad-2"))
    press(page, row.get_by_role("link", name="web-iad-2", exact=True))
    page.wait_for_url("**/operations/*/")
    page.goto(f"{page.url}log/")
    page.keyboard.press("f")
    expect(page.get_by_label("Follow")).to_be_checked()
    expect(page.locator("#log")).to_contain_text(HANGS, timeout=soon())
    page.go_back()
    page.go_back()
    press(page, button(page, "Cancel…"))
    press(page, button(page, "Cancel deployment"))
    is_in(page, "cancelled")
    keyed.misbehave("web-iad-2", "heal")


def test_lists_all_keys(visit):
    page = visit("/")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    listed = set(keys.locator("kbd").all_inner_texts())
    script = page.request.get(page.locator("script[src*='keys']").get_attribute("src")).text()
    block = script[script.index("const KEYS = {") :]
    known = set(re.findall(r'^    "?([a-z/?])"?: ', block[: block.index("};")], re.MULTILINE))
    assert listed == known | {"Enter"} and len(known) == 9


def test_reduced_motion_and_one_live_region(visit, keyed):
    page = visit("/", reduced_motion="reduce")
    for address in (
        "/",
        "/services/keyed/",
        "/services/keyed/versions/",
        "/services/keyed/instances/",
        "/deployments/1/",
        "/operations/1/log/",
    ):
        page.goto(address)
        moving = page.evaluate("document.getAnimations().length")
        assert moving == 0, address
        assert page.locator("[aria-live]").count() == 1, address
        assert page.locator("[aria-live=polite]").count() == 1, address
