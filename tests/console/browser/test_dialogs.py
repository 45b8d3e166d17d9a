"""The dialogs of upgrade, revert and install in Chromium: one click right after typing, and the plan."""

import re
import sys
import time

import pytest
from playwright.sync_api import Page, Route, expect

from demo.client import Client
from demo.service import definition
from tests.console.browser.demo import DESKTOP, PHONE
from tests.console.browser.greeter import Greeter, ended, later, version_name

pytestmark = [pytest.mark.browser, pytest.mark.demo, pytest.mark.found("forms")]


@pytest.fixture(scope="module")
def clicker(demo) -> Greeter:
    return Greeter(demo, "clicker")


def slowly(page: Page, seconds: float) -> None:
    """From now on every answer takes that much longer."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    slow = {"offline": False, "latency": seconds * 1000, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", slow)


def settled(greeter: Greeter, number: int) -> None:
    for row in greeter.client.all("deployments/")[:3]:
        if row["service"] == greeter.name:
            ended(greeter.client, row["id"])
    greeter.at_version(number)


def started(page: Page, client: Client) -> dict:
    page.wait_for_url("**/deployments/*/", timeout=later())
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
    page.locator("#confirm").click()
    made = started(page, client)
    assert {name: made["strategy"][name] for name in sent} == sent and made["dest_version"] == clicker.ids[2]


def test_first_click_uses_typed_reason(visit, clicker, client):
    settled(clicker, 2)
    page = visit(clicker.dialog(2, "revert", f"?dest_version={clicker.ids[1]}"))
    page.get_by_label(f"Mark {version_name(2)} as bad").check()
    page.get_by_label("Reason").press_sequentially("leaks")
    page.locator("#confirm").click()
    started(page, client)
    version = client.get(f"services/clicker/versions/{clicker.ids[2]}")
    assert (version["bad"], version["bad_reason"]) == (True, "leaks")
    client.patch(f"services/clicker/versions/{clicker.ids[2]}", {"bad": False})


@pytest.mark.parametrize("press", ["mouse", "space"])
def test_plan_arrives_between_press_and_release(visit, clicker, client, press):
    """The browser sends no click to a button that is replaced meanwhile."""
    settled(clicker, 1)
    page = visit(clicker.dialog(1, "upgrade", f"?dest_version={clicker.ids[2]}"))
    held: list[Route] = []
    page.route(re.compile(r"/upgrade/\?.*canary=1"), lambda route: held.append(route))
    with page.expect_request(re.compile("canary=1")):
        page.locator("#canary").press_sequentially("1")
    if press == "mouse":
        page.locator("#confirm").hover()
        page.mouse.down()
    else:
        page.locator("#confirm").focus()
        page.keyboard.down("Space")
    with page.expect_event("requestfinished"):
        held[0].continue_()
    page.wait_for_timeout(1000)  # a page that does not wait for the release has the new plan by then
    if press == "mouse":
        page.mouse.up()
    else:
        page.keyboard.up("Space")
    assert started(page, client)["strategy"]["canary"] == 1


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
    page.locator("#confirm").click()
    started(page, client)
    (row,) = client.all(f"services/{name}/instances/")
    assert row["port"] == port


def test_click_on_outdated_plan_shows_new_plan(visit, clicker, client):
    """Also where there was no plan to click on before."""
    settled(clicker, 1)
    count = len(client.all("deployments/"))
    page = visit(clicker.dialog(1, "upgrade", f"?dest_version={clicker.ids[2]}"))
    slowly(page, 1)
    page.get_by_label("Selected hosts only").check()
    page.locator("[name=host]").first.check()
    page.locator("#confirm").click()
    expect(page.locator("#plan-word")).to_be_visible(timeout=later())
    expect(page.locator("#confirm")).to_have_text(re.compile("Upgrade 1 host from"))
    page.locator("#canary").press_sequentially("x")
    page.locator("#confirm").click()
    expect(page.locator("#plan [data-confirms]")).to_have_attribute("aria-disabled", "true", timeout=later())
    expect(page.locator("#canary-errors")).not_to_be_empty()
    page.locator("#canary").fill("1")
    page.locator("#plan [data-confirms]").click(force=True)  # as people do, who see no attribute
    expect(page.locator("#plan-word")).to_be_visible(timeout=later())
    assert len(client.all("deployments/")) == count
    page.locator("#confirm").click()
    assert started(page, client)["strategy"]["canary"] == 1


def test_new_plan_keeps_focus(visit, clicker):
    settled(clicker, 1)
    page = visit(clicker.dialog(1, "upgrade", f"?dest_version={clicker.ids[2]}"))
    slowly(page, 1)
    page.locator("#batch_size").press_sequentially("2")
    page.locator("#confirm").focus()
    expect(page.locator("#plan")).to_contain_text("in 2 batches", timeout=later())
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
    page.locator("#confirm").click()
    expect(page.get_by_role("alert")).to_contain_text("The plan has changed", timeout=later())
    expect(page.locator("#canary")).to_have_value("1")
    expect(page.locator("#plan")).to_contain_text("in 2 batches (1, 3)")
    assert len(client.all("deployments/")) == count


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("action", ["deploy", "upgrade", "install"])
def test_plan_and_button_stay_in_view(visit, clicker, action, size):
    """From the beginning of the page to its end; the line opens to the whole plan."""
    settled(clicker, 1)
    page = visit(clicker.dialog(2 if action == "deploy" else 1, action), viewport=size)
    line = page.locator(".confirm")
    button = line.locator("[data-confirms]")
    expect(button).to_be_in_viewport(ratio=1)
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    expect(button).to_be_in_viewport(ratio=1)
    assert line.evaluate("line => line.offsetHeight") <= size["height"] / 4, "it hides little of what is chosen"
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    if action == "install":
        return
    expect(line).to_contain_text("4 hosts, all at once")
    page.evaluate("scrollTo(0, 0)")
    line.get_by_role("link", name="Show the plan").click()
    expect(page.locator("#plan-card h2")).to_be_in_viewport()
    expect(button).to_be_in_viewport(ratio=1)


def test_proposed_strategy_is_filled_in(visit, clicker):
    """What was typed stays. The server proposes it for ten hosts and more; here the link is put into the plan."""
    settled(clicker, 1)
    page = visit(clicker.dialog(1, "upgrade", f"?dest_version={clicker.ids[2]}"))
    page.locator("#note").fill("why")
    page.locator("#max_failures").fill("3")
    page.locator("#pause_between").check()
    expect(page.locator("#plan")).not_to_have_attribute("data-behind", "")
    page.locator("#plan-card .body").evaluate(
        """body => body.insertAdjacentHTML("beforeend", `<a id="careful" href="?canary=1&batch_size=50%25"
          data-fills="canary batch_size max_failures on_failure pause_between">careful</a>`)"""
    )
    page.locator("#careful").click()
    expect(page.locator("#plan")).to_contain_text("4 hosts in 3 batches (1, 2, 1)")
    assert "/upgrade/" in page.url
    expect(page.locator("#note")).to_have_value("why")
    expect(page.locator("#max_failures")).to_have_value("")
    expect(page.locator("#pause_between")).not_to_be_checked()
    expect(page.locator("#on_failure")).to_have_value("hold")


def test_note_is_sent_as_it_is_when_clicked(visit, clicker, client):
    """No plan depends on it, so none is fetched for it."""
    settled(clicker, 1)
    page = visit(clicker.dialog(1, "upgrade", f"?dest_version={clicker.ids[2]}"))
    page.locator("#note").press_sequentially("orders are lost")
    page.locator("#confirm").click()
    assert started(page, client)["note"] == "orders are lost"


def test_reverts_deployment_in_batches(visit, clicker, client):
    settled(clicker, 1)
    path = f"services/{clicker.name}/versions/{clicker.ids[1]}/upgrade"
    origin = client.post(path, {"dest_version": clicker.ids[2], "host": "all"})["id"]
    ended(client, origin)
    page = visit(f"/deployments/{origin}/")
    page.get_by_role("link", name="Revert…").click()
    page.wait_for_url("**/revert/")
    expect(page.locator("#confirm")).to_have_text(re.compile("Revert 4 hosts"))
    page.locator("#canary").press_sequentially("1")
    page.locator("[name=host]").nth(0).check()
    page.locator("[name=host]").nth(1).check()
    expect(page.locator("#confirm")).to_have_text(re.compile("Revert 2 hosts"))
    expect(page.locator("#plan")).to_contain_text("in 2 batches (1, 1)")
    page.locator("#confirm").click()
    made = started(page, client)
    assert (made["action"], made["strategy"]["canary"], made["origin_id"]) == ("revert", 1, origin)
    assert sum(ended(client, made["id"])["counts"].values()) == 2
