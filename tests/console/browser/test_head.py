"""The head in Chromium: one row, a menu by keyboard, a theme that lasts; and confirmations that were refused."""

import re

import pytest
from playwright.sync_api import expect

from tests.console.browser.demo import DESKTOP, PHONE

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.demo]
ZOOMED = {name: length // 2 for name, length in DESKTOP.items()}
WIDE = {"width": 2560, "height": 1440}


@pytest.mark.parametrize("size", [DESKTOP, ZOOMED, PHONE, WIDE], ids=["desktop", "zoomed to 200%", "phone", "wide"])
def test_head_is_one_row(visit, size):
    page = visit("/", viewport=size)
    for address in ("/", "/settings/", "/nothing-here/"):
        page.goto(address)
        assert page.locator(".top").bounding_box()["height"] < 56, address


def test_menu_by_keyboard_on_phone(visit):
    page = visit("/", viewport=PHONE)
    expect(page.get_by_role("link", name="Hosts", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Menu").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Fleet", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Hosts", exact=True)).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Hosts", exact=True).click()
    page.wait_for_url("**/hosts/")


def test_theme_keeps_what_is_typed_and_lasts(visit):
    page = visit("/new-service/", color_scheme="light")
    page.get_by_label("Name", exact=True).fill("half-typed")
    page.get_by_role("button", name=re.compile("^My account")).click()
    with page.expect_response("**/theme/"):
        page.get_by_role("button", name="Dark").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("half-typed")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    elsewhere = visit("/", color_scheme="light")
    assert elsewhere.locator("html").get_attribute("data-theme") == "dark"
    elsewhere.get_by_role("button", name=re.compile("^My account")).click()
    with elsewhere.expect_response("**/theme/"):
        elsewhere.get_by_role("button", name="System").click()


def test_current_tab_is_in_view_on_a_phone(visit):
    page = visit("/pipelines/", viewport=PHONE)
    expect(page.locator(".tabs [aria-current]")).to_be_in_viewport(ratio=0.9)


def test_star_puts_service_first(visit):
    page = visit("/")
    name = page.locator("tbody th .name a").last.inner_text()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
    row.get_by_role("button", name="Favourite").click()
    expect(page.locator("tbody th .name a").first).to_have_text(name)
    page.get_by_role("button", name="Favourite", pressed=True).first.click()
    expect(page.get_by_role("button", name="Favourite", pressed=True)).to_have_count(0)


def test_refused_confirmation_opens_again(visit):
    page = visit("/services/checkout/instances/")
    box = page.locator("tbody input[name=instance]").nth(1)
    box.check()
    page.get_by_role("button", name="Forget…").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget instances").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("listitem")).to_have_text([box.get_attribute("aria-label")])
    expect(dialog.get_by_label("Reason")).to_be_focused()
    expect(dialog.locator(".wrong")).not_to_be_empty()
