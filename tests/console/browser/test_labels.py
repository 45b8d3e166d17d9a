"""Labels, groups and saved filters in Chromium: what is typed is chosen; what a person saved stays on a live page."""

import re

import pytest
from playwright.sync_api import expect

from tests.console.browser.greeter import Greeter

pytestmark = [pytest.mark.browser, pytest.mark.demo]


@pytest.fixture(scope="module")
def labelled(demo) -> Greeter:
    return Greeter(demo, "labelled")


def test_typed_label_chooses_its_hosts(visit, labelled):
    page = visit(labelled.dialog(1, "upgrade"))
    confirm = page.locator("#confirm")
    expect(confirm).to_contain_text("4 hosts")
    page.locator("#labels").press_sequentially("site=fra")
    expect(page.get_by_label("Hosts with these labels")).to_be_checked()
    expect(confirm).to_contain_text("2 hosts")
    expect(page.locator("#known-labels option").first).to_have_attribute("value", "site=fra")
    page.locator("#labels").fill("site=nowhere")
    expect(page.locator("#labels-errors")).to_contain_text("site=nowhere")
    page.locator("#group").select_option("Ashburn")
    expect(page.get_by_label("Hosts of a group")).to_be_checked()
    expect(confirm).to_contain_text("2 hosts")
    expect(page.locator("#labels-errors")).to_be_empty()


def test_found_host_is_ticked_and_stays(visit, labelled):
    page = visit(labelled.dialog(1, "upgrade"))
    hosts = page.locator("#hosts")
    page.locator("#find_host").press_sequentially("web-iad-2")
    expect(hosts.get_by_role("checkbox")).to_have_count(1)
    hosts.get_by_role("checkbox").check()
    expect(page.get_by_label("Selected hosts only")).to_be_checked()
    expect(page.locator("#confirm")).to_contain_text("1 host")
    page.locator("#find_host").fill("web-fra-1")
    expect(hosts.get_by_role("checkbox")).to_have_count(2)
    expect(hosts.get_by_role("checkbox", checked=True)).to_have_count(1)


def test_labels_of_selected_hosts_are_changed(visit):
    """The dialog names the hosts; what it refuses stands at its field, with what was typed and the hosts selected."""
    page = visit("/hosts/?label=site%3Dfra")
    opens = page.get_by_role("button", name="Change labels…")
    expect(opens).to_be_disabled()
    page.get_by_label("All on this page").check()
    opens.click()
    dialog = page.get_by_role("dialog", name="Change the labels of the selected hosts")
    expect(dialog.get_by_role("listitem").first).to_be_visible()
    dialog.get_by_label("Add labels").fill("rack")
    dialog.get_by_role("button", name="Change labels").click()
    expect(dialog.get_by_text("rack has no value")).to_be_visible()
    expect(dialog.get_by_label("Add labels")).to_have_value("rack")
    dialog.get_by_label("Add labels").fill("rack=7")
    dialog.get_by_role("button", name="Change labels").click()
    expect(page.get_by_text(re.compile(r"The labels of \d+ hosts were changed"))).to_be_visible()
    expect(page.get_by_role("link", name="rack=7").first).to_be_visible()


def test_saved_filter_survives_a_live_refresh(visit, client, demo):
    page = visit("/hosts/?label=site%3Dfra")
    page.get_by_text("Save this filter").click()
    page.get_by_label("Name of the filter").fill("Frankfurt only")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/hosts/?label=site%3Dfra")
    saved = page.locator("#saved-filters")
    expect(saved.get_by_role("link", name="Frankfurt only")).to_have_attribute("aria-current", "true")
    client.post("hosts/", {"hostname": "seen-at-once", "ip": "127.0.0.9", "labels": {"site": "fra"}})
    expect(page.get_by_role("link", name="seen-at-once")).to_be_visible()
    expect(saved.get_by_role("link", name="Frankfurt only")).to_be_visible()
    saved.get_by_role("button", name="Remove this filter").click()
    expect(saved.get_by_role("link")).to_have_count(0)
    expect(page).to_have_url(re.compile("label=site"))
