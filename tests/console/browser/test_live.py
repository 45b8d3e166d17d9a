"""Pages without a free stream, and what pages show without being reloaded."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from demo.network import choose_port
from tests.console.browser.greeter import later, soon

pytestmark = [pytest.mark.browser, pytest.mark.demo]


def stream(demo) -> http.client.HTTPResponse | None:
    """One live stream, or None where the server has no slot left and says when to come back."""
    parts = urlsplit(demo["url"])
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {demo['token']}"})
    answer = connection.getresponse()
    if answer.status == 200:
        return answer
    assert (answer.status, answer.getheader("Retry-After")) == (503, "5")
    return None


@contextmanager
def no_slot_free(demo) -> Iterator[None]:
    """Take every slot, and also those that pages of earlier tests give back only now."""
    taken: list[http.client.HTTPResponse] = []
    full, over = threading.Event(), threading.Event()

    def take() -> None:
        while not over.is_set():
            if (one := stream(demo)) is not None:
                taken.append(one)
            else:
                full.set()
                over.wait(0.1)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        assert full.wait(60) and len(taken) < 200
        yield
    finally:
        over.set()
        thread.join()
        for one in taken:
            one.close()


def test_polls_until_a_stream_is_free(visit, demo, client):
    name = "without-a-slot"
    client.post("services/", {"name": name, "description": "at first"})
    with no_slot_free(demo):
        page = visit(f"/?q={name}")
        stale, row = page.locator("#stale"), page.get_by_role("row", name=re.compile(name))
        expect(stale).to_be_visible(timeout=soon())
        expect(stale).to_contain_text(re.compile(r"Data is \d+ s old. Refreshing every 3 s."))
        client.patch(f"services/{name}", {"description": "found by asking"})
        expect(row).to_contain_text("found by asking", timeout=soon())
        expect(stale).to_be_visible()
        other = visit("/hosts/")  # every slot is taken, and the rest of the site answers
        expect(other.get_by_role("row", name=re.compile("web-fra-1"))).to_be_visible(timeout=soon())
        other.close()
    expect(stale).to_be_hidden(timeout=later())
    with page.expect_response(lambda answer: "seen=" in answer.url, timeout=later()):
        client.patch(f"services/{name}", {"description": "told by the stream"})
    expect(row).to_contain_text("told by the stream", timeout=soon())
    expect(stale).to_be_hidden()


def test_versions_and_hosts_update_live(visit, client):
    client.post("services/", {"name": "watched-versions"})
    versions, hosts = visit("/services/watched-versions/versions/"), visit("/hosts/")
    expect(versions.get_by_text("No versions yet")).to_be_visible()
    number = client.post("services/watched-versions/versions/", {"version": "1.0-main"})["id"]
    row = versions.get_by_role("row", name=re.compile("1.0-main"))
    expect(row).to_contain_text("pending", timeout=soon())
    client.patch(f"services/watched-versions/versions/{number}", {"status": "building"})
    client.patch(f"services/watched-versions/versions/{number}", {"status": "failed"})
    expect(row).to_contain_text("failed", timeout=soon())

    port = choose_port("127.0.0.1")
    host = client.post("hosts/", {"hostname": "unreachable", "ip": "127.0.0.1", "port": port})["id"]
    row = hosts.get_by_role("row", name=re.compile("unreachable"))
    expect(row).to_contain_text("never checked", timeout=soon())
    assert not client.post(f"hosts/{host}/check", {})["reachable"]
    expect(row).to_contain_text(re.compile(r"unreachable\s+since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), timeout=soon())
    client.send("DELETE", f"hosts/{host}")
    expect(row).to_have_count(0, timeout=soon())
