"""How many clicks it takes to see what matters, and to bring a version to hosts."""

import re

import pytest
from playwright.sync_api import expect

from demo.misbehave import SAID
from tests.console.browser.clicks import COUNT, clicks, count_clicks
from tests.console.browser.demo import DESKTOP, PHONE
from tests.console.browser.greeter import Greeter, ended, is_in, soon, version_name

pytestmark = [pytest.mark.browser, pytest.mark.demo]


@pytest.fixture(scope="module")
def failing(demo) -> Greeter:
    """An upgrade of four hosts, two of which failed for two reasons."""
    greeter = Greeter(demo, "greeter-clicks")
    greeter.misbehave("web-fra-2", "fail", "start")
    greeter.misbehave("web-iad-1", "fail", "check")
    path = f"services/{greeter.name}/versions/{greeter.ids[1]}/upgrade"
    asked = greeter.client.post(path, {"dest_version": greeter.ids[2], "host": "all", "note": "Orders were lost"})
    assert ended(greeter.client, asked["id"])["status"] == "failed"
    return greeter


def test_one_click_from_sign_in_to_what_runs_where(demo, browser):
    context = browser.new_context(base_url=demo["url"], viewport=DESKTOP)
    context.add_init_script(COUNT)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Username").fill(demo["username"])
    page.get_by_label("Password").fill(demo["password"])
    page.get_by_label("Password").press("Enter")  # which the browser makes a click of the button
    page.get_by_role("link", name="checkout", exact=True).wait_for(timeout=soon())
    before = clicks(page)
    page.get_by_role("link", name="checkout", exact=True).click()
    runs = page.get_by_role("region", name="What runs where")
    for host in ("web-fra-1", "web-fra-2", "web-iad-1", "web-iad-2"):
        expect(runs.get_by_role("link", name=host)).to_be_in_viewport(timeout=soon())
    assert clicks(page) - before == 1
    context.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_one_click_from_home_to_every_cause(visit, failing, size):
    page = visit("/", viewport=size)
    count_clicks(page)
    row = page.get_by_role("row", name=re.compile(failing.name))
    row.get_by_role("link", name=re.compile("upgrade to")).click()
    causes = page.locator("li.cause")
    expect(causes).to_have_count(2)
    for step, host in (("start", "web-fra-2"), ("check", "web-iad-1")):
        cause = causes.filter(has_text=step).filter(has_text=host)
        expect(cause).to_contain_text(SAID[step])
        for what in (cause.get_by_role("link", name="Open", exact=True), cause.get_by_role("button", name="Retry")):
            expect(what).to_be_visible()
    expect(causes.first.get_by_role("heading")).to_be_in_viewport()
    assert clicks(page) == 1


@pytest.fixture
def mixed(demo) -> Greeter:
    """Four hosts, each with a version of its own, and a newer one that runs nowhere."""
    greeter = Greeter(demo, "greeter-versions")
    greeter.ids |= {number: greeter.publish(number) for number in (3, 4)}
    path = f"services/{greeter.name}/versions/{greeter.ids[1]}/upgrade"
    for number, host in zip((2, 3, 4), demo["hosts"], strict=False):
        asked = greeter.client.post(path, {"dest_version": greeter.ids[number], "host": [host["id"]]})
        assert ended(greeter.client, asked["id"])["status"] == "succeeded"
    greeter.ids[5] = greeter.publish(5)
    return greeter


def test_three_clicks_bring_four_old_versions_to_the_new_one(visit, mixed):
    page = visit("/")
    count_clicks(page)
    page.get_by_role("link", name=mixed.name, exact=True).click()
    page.get_by_role("link", name=re.compile("^Deploy…")).first.click()
    expect(page.locator("#confirm")).to_have_text(re.compile(rf"Deploy {version_name(5)} to 4 hosts"))
    for number in (1, 2, 3, 4):
        expect(page.get_by_label("Plan", exact=True)).to_contain_text(version_name(number))
    page.locator("#confirm").click()
    page.wait_for_url("**/deployments/*/")
    assert clicks(page) == 3
    is_in(page, "succeeded", "4 of 4 hosts")
    made = [
        row for row in mixed.client.all("deployments/") if (row["service"], row["action"]) == (mixed.name, "deploy")
    ]
    assert len(made) == 1
    rows = mixed.client.all(f"services/{mixed.name}/instances/")
    assert {row["version_id"] for row in rows} == {mixed.ids[5]} and len(rows) == 4
