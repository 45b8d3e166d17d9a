"""Choosers in Chromium: found by keyboard alone, made in a dialog, and the form below keeps what was typed."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.browser.axe import violations
from tests.console.browser.demo import DESKTOP, PHONE
from tests.console.browser.greeter import later

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.demo]


def found(page: Page) -> Locator:
    return page.locator(".choices [role=option]:visible")


@pytest.fixture
def made(client):
    """Collect credentials, teams and users to delete after the test: [(list, name)]."""
    rows: list[tuple[str, str]] = []
    yield rows
    for of, name in rows:
        for row in client.all(of):
            if name in (row.get("name"), row.get("username")):
                client.send("DELETE", f"{of}{row['id']}")


def test_finds_and_chooses_by_keyboard(demo, visit):
    name = demo["hosts"][0]["hostname"]
    page = visit("/hosts/new/")
    jump = page.get_by_role("combobox", name="Jump host")
    jump.focus()
    expect(page.get_by_role("listbox")).to_have_count(0)  # nothing opens while one only passes through
    page.keyboard.type(name)
    expect(found(page).first).to_contain_text(name)
    page.keyboard.press("ArrowDown")
    expect(jump).to_have_attribute("aria-activedescendant", found(page).first.get_attribute("id"))
    page.keyboard.press("Enter")
    expect(jump).to_have_value(name)
    expect(page.get_by_role("listbox")).to_have_count(0)
    assert "/hosts/new/" in page.url, "Enter chose, and did not send the form"
    page.keyboard.type("x")
    expect(page.get_by_text("No match.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("No match.")).to_be_hidden()


def test_makes_a_credential_and_keeps_the_form(visit, made):
    made.append(("credentials/", "edge key"))
    page = visit("/hosts/new/")
    page.get_by_label("Hostname").fill("typed-before")
    page.get_by_label("Labels").fill("zone=eu")
    field = page.get_by_role("combobox", name="Credential")
    field.fill("edge key")
    page.get_by_role("link", name="New credential").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name")).to_have_value("edge key")
    dialog.get_by_role("button", name="Add credential").click()
    expect(dialog.get_by_text("Enter a private key or a password")).to_be_visible()
    expect(dialog.locator("[name=secret]")).to_be_focused()
    dialog.get_by_label("Kind").select_option("password")
    dialog.locator("[name=secret]").fill("sesame")
    dialog.get_by_role("button", name="Add credential").click()
    expect(dialog).to_have_count(0, timeout=later())
    expect(field).to_have_value("edge key")
    expect(field).to_be_focused()
    expect(page.get_by_label("Hostname")).to_have_value("typed-before")
    expect(page.get_by_label("Labels")).to_have_value("zone=eu")


def test_dialog_above_a_dialog_and_ticks_of_several(visit, made):
    made.append(("teams/", "edge"))
    page = visit("/hosts/new/")
    page.get_by_role("link", name="New host").click()
    below = page.get_by_role("dialog", name="Add a host")
    below.get_by_label("Hostname").fill("typed-in-dialog")
    below.get_by_role("link", name="New team").click()
    above = page.get_by_role("dialog", name="Add a team")
    above.get_by_label("Name").fill("edge")
    above.get_by_role("button", name="Add team").click()
    expect(above).to_have_count(0, timeout=later())
    expect(below.get_by_role("checkbox", name="edge")).to_be_checked()
    expect(below.get_by_label("Hostname")).to_have_value("typed-in-dialog")
    page.mouse.click(5, 5)
    expect(below).to_be_visible()  # a press beside it does not lose what is typed
    below.get_by_role("button", name="Cancel").click()
    expect(below).to_have_count(0)
    expect(page.get_by_role("combobox", name="Jump host")).to_be_focused()


@pytest.mark.parametrize(("size", "theme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_open_list_and_dialog_pass_axe_and_fit(visit, size, theme):
    page = visit("/hosts/new/", viewport=size, color_scheme=theme)
    page.get_by_role("combobox", name="Jump host").click()
    expect(found(page).first).to_be_visible()
    page.keyboard.press("ArrowDown")
    assert violations(page, best_practices=True) == []
    page.keyboard.press("Escape")
    page.get_by_role("link", name="New credential").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page, best_practices=True) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_works_without_scripts(demo, visit, client):
    page = visit("/hosts/new/", java_script_enabled=False)
    page.get_by_label("Hostname").fill("by-hand")
    page.get_by_label("Address", exact=True).fill("127.0.0.1")
    page.get_by_label("Jump host").fill(demo["hosts"][0]["hostname"][:-1])
    page.get_by_role("button", name="Add host").click()
    expect(page.get_by_text("Similar names:")).to_contain_text(demo["hosts"][0]["hostname"])
    expect(page.get_by_role("link", name="New host")).to_have_attribute("target", "_blank")


def test_filter_of_a_live_page_proposes_after_it_was_fetched_again(visit):
    page = visit("/builds/")
    for field in ("Service", "User"):
        page.get_by_label(field, exact=True).click()
        expect(found(page).first).to_be_visible()
        page.keyboard.press("Escape")
        expect(found(page)).to_have_count(0)
    page.get_by_label("Service", exact=True).click()
    name = found(page).first.get_attribute("data-name")
    found(page).first.click()
    page.wait_for_url(f"**/builds/?service={name}*")
