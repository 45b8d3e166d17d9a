"""Chromium clicks through the running demo: an upgrade and a revert over real SSH, and what every page must hold."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.console.browser.axe import violations
from tests.console.browser.demo import DESKTOP, PHONE
from tests.console.browser.greeter import later, soon
from tests.console.browser.pages import PAGES, show

pytestmark = [pytest.mark.browser, pytest.mark.demo]
HALF = {"width": 960, "height": 1080}  # beside another window
ZOOMED = {name: length // 2 for name, length in DESKTOP.items()}  # what a page gets at 200%
OLD, MIDDLE, NEW = "20250301090000", "20250308101500", "20250315143000"


def succeeded(page: Page) -> None:
    """Wait until the deployment page shows success by itself: nothing is reloaded here."""
    expect(page.locator("#live-head")).to_have_attribute("data-ended", "1", timeout=later())
    expect(page.get_by_label("Progress")).to_contain_text("4 of 4 hosts succeeded")
    expect(page.locator("#live-head .status").first).to_have_text("succeeded")


def change(page: Page, action: str, words: re.Pattern) -> None:
    """Two clicks from the first page: the dialog, then the one button that names both versions."""
    page.goto("/")
    page.get_by_role("link", name=re.compile(rf"{action}….*checkout from")).first.click()
    button = page.locator("#confirm")
    expect(button).to_have_text(words)
    for host in ("web-fra-1", "web-fra-2", "web-iad-1", "web-iad-2"):
        expect(page.get_by_label("Plan", exact=True)).to_contain_text(host)
    button.click()
    page.wait_for_url("**/deployments/*/")


def running_version(page: Page) -> str:
    page.goto("/services/checkout/instances/")
    found = set(page.locator("tbody td[data-name=Version]").all_inner_texts())
    assert len(found) == 1, found
    return found.pop().split("-")[0]


def test_upgrades_and_reverts(visit):
    page = visit("/")
    assert running_version(page) == MIDDLE
    change(page, "Upgrade", re.compile(rf"Upgrade 4 hosts from {MIDDLE}.* to {NEW}"))
    expect(page.locator("table.matrix")).to_contain_text("web-iad-2")
    succeeded(page)
    for step in ("stop", "link", "start", "check"):
        expect(page.get_by_role("columnheader", name=step, exact=True)).to_be_visible()
    page.get_by_role("link", name="Output of web-fra-1").click()
    expect(page.locator("pre.output")).to_contain_text(NEW)
    expect(page.locator("#live-word")).to_contain_text("succeeded")
    assert running_version(page) == NEW

    change(page, "Revert", re.compile(rf"Revert 4 hosts from {NEW}.* to {MIDDLE}"))
    succeeded(page)
    assert running_version(page) == MIDDLE


def test_reverts_deployment_after_confirmation(visit):
    page = visit("/")
    change(page, "Revert", re.compile(rf"to {OLD}"))
    succeeded(page)
    before = page.url
    page.get_by_role("link", name="Revert…").click()
    page.wait_for_url("**/revert/")
    for word in (OLD, MIDDLE, "web-fra-1", "web-iad-2"):
        expect(page.get_by_label("Plan", exact=True)).to_contain_text(word)
    page.locator("#confirm").dblclick()
    page.wait_for_url(lambda url: "/revert/" not in url and url != before)
    succeeded(page)
    page.goto("/deployments/")
    assert page.locator("tbody th a").first.inner_text().startswith(f"{int(before.rstrip('/').split('/')[-1]) + 1} ·")
    assert running_version(page) == MIDDLE


def test_plan_follows_choices(visit):
    page = visit("/")
    page.get_by_role("link", name=re.compile(r"Revert….*checkout from")).first.click()
    page.get_by_label("web-fra-2").check()
    expect(page.locator("#confirm")).to_have_text(re.compile("Revert 1 host from"))
    expect(page.get_by_label("Selected hosts only")).to_be_checked()
    page.get_by_label("web-iad-1").check()
    expect(page.locator("#confirm")).to_have_text(re.compile("Revert 2 hosts from"))
    page.get_by_label("Canary hosts").fill("1")
    page.get_by_label("Batch size").focus()
    expect(page.get_by_label("Plan", exact=True)).to_contain_text("in 2 batches (1, 1)")
    page.reload()
    expect(page.locator("#confirm")).to_have_text(re.compile("Revert 2 hosts from"))
    page.get_by_label("Batch size").fill("nonsense")
    page.get_by_label("Canary hosts").focus()
    expect(page.get_by_label("Plan", exact=True).get_by_role("alert")).to_be_visible()
    expect(page.locator("#confirm")).to_have_count(0)


def test_recovers_from_lost_connection(visit):
    page = visit("/")
    change(page, "Upgrade", re.compile("Upgrade 4 hosts"))
    page.context.set_offline(True)
    ended = page.locator("#live-head").get_attribute("data-ended") == "1"
    if not ended:
        expect(page.locator("#stale")).to_be_visible(timeout=soon())
        expect(page.locator("#stale")).to_contain_text("s old")
    page.context.set_offline(False)
    succeeded(page)
    expect(page.locator("#stale")).to_be_hidden()
    change(page, "Revert", re.compile("Revert 4 hosts"))
    succeeded(page)


def test_searches_fleet_by_keyboard(visit):
    page = visit("/")
    page.keyboard.press("/")
    expect(page.get_by_label("Service name")).to_be_focused()
    page.keyboard.type("check")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=check**")
    expect(page.get_by_role("row", name=re.compile("checkout Basket"))).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize(
    ("size", "widths"),
    [(DESKTOP, (HALF, ZOOMED)), (PHONE, ())],
    ids=["desktop, half of a window, zoomed to 200%", "phone"],
)
def test_every_page_passes_axe_in_both_themes_and_fits(visit, size, widths):
    page = visit("/", viewport=size)
    wrong = {}
    for address in PAGES:
        page.set_viewport_size(size)
        show(page, address)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            if found := violations(page):
                wrong[address, theme] = found
        for window in (size, *widths):
            page.set_viewport_size(window)
            if (width := page.evaluate("document.documentElement.scrollWidth")) > window["width"]:
                wrong[address, window["width"]] = width
    assert wrong == {}


def test_wrong_password_stays_on_sign_in(demo, browser):
    page = browser.new_page(base_url=demo["url"])
    page.goto("/")
    page.get_by_label("Username").fill(demo["username"])
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert "/login/" in page.url
    page.close()
