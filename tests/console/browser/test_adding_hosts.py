"""A host is added in Chromium by one form and one click, with what people have at hand."""

import re

import pytest
from playwright.sync_api import expect

from demo.client import Client
from tests.console.browser.clicks import clicks, count_clicks
from tests.console.browser.greeter import later

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.demo, pytest.mark.found("keys")]


@pytest.fixture
def node(demo):
    """One of the demo's hosts as it is now, and what would make it another row of this system."""
    client = Client(demo["url"], demo["token"])
    row = client.get(f"hosts/{demo['hosts'][0]['id']}")
    credential = client.get(f"credentials/{row['credential_id']}")

    def fill(page, name: str, **more):
        page.get_by_role("link", name="Hosts", exact=True).click()
        page.get_by_role("link", name="Add a host").click()
        fields = {
            "hostname": name,
            "ip": row["ip"],
            "port": str(row["port"]),
            "username": row["username"],
            "base_path": row["base_path"] + f"-{name}",
            **more,
        }
        for field, value in fields.items():
            page.locator(f"[name={field}]").fill(value)
        page.locator("[name=credential_id]").fill(credential["name"])

    yield row, fill, client
    for one in client.all("hosts/"):
        if one["hostname"] in ("pasted", "compared"):
            client.send("DELETE", f"hosts/{one['id']}")


def test_adds_a_ready_host_with_one_form_and_three_clicks(visit, node):
    row, fill, client = node
    page = visit("/")
    count_clicks(page)
    fill(page, "pasted", host_key=f"# what ssh-keygen -lf prints\n256 {row['fingerprint']} root@node (ED25519)\n")
    page.get_by_role("button", name="Add host").click()
    expect(page.get_by_text("pasted was added.")).to_be_visible(timeout=later())
    assert clicks(page) == 3
    expect(page.get_by_role("heading", name="Check results")).to_be_visible()
    expect(page.get_by_text("ready for deployments")).to_be_visible()
    made = next(one for one in client.all("hosts/") if one["hostname"] == "pasted")
    assert made["fingerprint"] == row["fingerprint"] and made["reachable"] is True
    page.reload()
    expect(page.get_by_role("heading", name="Check results")).to_have_count(0)


def test_trusted_key_clears_warnings(visit, node):
    row, fill, _client = node
    page = visit("/hosts/")
    fill(page, "compared")
    page.get_by_role("button", name="Add host").click()
    expect(page.get_by_text("offered by the host", exact=True)).to_be_visible(timeout=later())
    expect(page.get_by_text(re.compile("no pinned host key"))).to_be_visible()
    page.get_by_label("Fingerprint of the key to trust").fill(f"256 {row['fingerprint']} a (ED25519)\n\n")
    page.get_by_role("button", name="Trust key").click()
    expect(page.get_by_text("ready for deployments")).to_be_visible(timeout=later())
    expect(page.get_by_text(re.compile("no pinned host key|not trusted yet|not reachable"))).to_have_count(0)
    page.reload()
    expect(page.get_by_text(re.compile("no pinned host key|not trusted yet|not reachable"))).to_have_count(0)


def test_key_file_is_chosen_again_after_refusal(visit, tmp_path):
    path = tmp_path / "id_ed25519"
    path.write_text("-----BEGIN NOTHING-----\r\n")
    page = visit("/credentials/")
    page.get_by_label("Name").fill("from a file")
    page.get_by_label("Private key file").set_input_files(path)
    page.get_by_role("button", name="Add credential").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("from a file")
    expect(page.get_by_label("Private key file")).to_have_value("")
