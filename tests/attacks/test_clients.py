"""Clients that exhaust shared resources: entries 3, 4, 12 and 17."""

import http.client
import threading
import time

import pytest

from tests.deployer.web_process.test_gunicorn_worker import head, lying_in, pour
from tests.lab.attack import Slow, connection_to, unverified
from tests.lab.busy import within
from tests.lab.fleet import package

SOON = 10.0  # seconds, on a busy machine; before, there was no answer as long as the attack went on
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@pytest.mark.entry(3)
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/login/", FORM),
        ("/api/v1/builds/git/webhook", JSON),
        ("/api/v1/services/redsvc/versions/", JSON),
    ],
)
def test_slow_bodies(instance, tried, path, kind):
    """From two addresses, so that the limit of connections of one is not what refuses them."""
    first = head(instance.url, path, 1000, kind=kind) + b"{"
    with Slow(instance.url, 75, first, "127.0.5.1") as one, Slow(instance.url, 75, first, "127.0.5.2") as other:
        assert len(one.connections) == len(other.connections) == 75
        took = []
        for _ in range(3):
            one.drip()
            other.drip()
            took.append(instance.healthy())
        held = 150 - one.ended() - other.ended()
        page = instance.browser("127.0.7.8").ask("GET", "/login/").status
    tried(
        f"150 slow bodies to {path}",
        f"/healthz answered in {max(took):.2f} s while {held} were held",
        max(took) < within(SOON) and page == 200,
    )


@pytest.mark.entry(4)
@pytest.mark.parametrize("path", ["/login/", "/api/v1/services/redsvc/versions/", "/api/v1/builds/git/webhook"])
def test_large_anonymous_body(instance, tried, path):
    sent, answer = pour(instance.url, path, 300 << 20, instance.tmp, unverified())
    status_line = answer.split(b"\r\n")[0].decode() or "cut off"
    tried(f"a form of 300 MB by a stranger to {path}", f"{status_line} after {sent >> 20} MB", sent < 300 << 20)
    lying = lying_in(instance.tmp) + lying_in(instance.nginx.folder)
    tried("… and it lies on the disk", f"{lying >> 20} MB", lying < 2 << 20)


@pytest.mark.entry(17)
def test_viewer_takes_all_streams(instance, tried):
    held: list[http.client.HTTPConnection] = []
    try:
        statuses = [_open_stream(instance.people["vera"], held) for _ in range(60)]
        opened = statuses.count(200)
        tried(
            "a viewer opens 60 live streams",
            f"{opened} opened, the others {sorted(set(statuses) - {200})}",
            0 < opened < 40,
        )
        mine = [_open_stream(instance.people["alice"], held) for _ in range(2)]
        tried("… and leaves none to another", f"the other gets {mine}", mine == [200, 200])
        assert instance.healthy() < within(SOON)
    finally:
        for one in held:
            one.close()


def _open_stream(who, held: list) -> int:
    connection = connection_to(who.url, 30, who.source)
    held.append(connection)
    connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {who.token}"})
    return connection.getresponse().status


@pytest.mark.entry(17)
def test_viewer_searches_in_parallel(instance, tried):
    alice, vera = instance.people["alice"], instance.people["vera"]
    alice.made(
        "/services/",
        {
            "name": "chatty",
            "team": "red",
            "limits": {"output_head": 8 << 20, "output_tail": 1024},
            "start_command": "yes abcdefghij | head -c 6000000",
        },
    )
    version = instance.publish(alice, "chatty", "1", package({"app": "x"}))
    operation = instance.installed(alice, "chatty", version, "red")["id"]
    took: list[float] = []

    def search() -> None:
        began = time.monotonic()
        assert vera.get(f"/operations/{operation}/log?search=zz").status in (200, 429, 503)
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=search) for _ in range(12)]
    for one in threads:
        one.start()
    healthy = instance.healthy()
    for one in threads:
        one.join(100)
    tried(
        "a viewer searches 6 MB twelve times at once",
        f"a newer ends an older: {max(took):.1f} s at most, /healthz in {healthy:.2f} s",
        len(took) == 12 and max(took) < within(2 * SOON) and healthy < within(SOON),
    )


@pytest.mark.entry(12)
def test_slow_pattern_in_chinese(instance, tried):
    """It took 44 s, in which no other request of the process was answered."""
    bob = instance.people["bob"]
    bob.made("/services/", {"name": "redos", "team": "blue"})
    browser = instance.browser("127.0.4.2")
    assert browser.sign_in("bob", "a-horse-of-bob-4711").status == 302
    browser.cookies["django_language"] = "zh-hans"
    page = browser.ask("GET", "/services/redos/settings/")
    assert 'lang="zh' in page.text
    evil = ": .: .…" * 271 + "=x"
    began = time.monotonic()
    answer = browser.form("/services/redos/settings/", {"name": "redos", "environment": evil, "build_orig": "git"})
    took = time.monotonic() - began
    tried(
        "a line of an environment that a pattern backtracks on, in Chinese",
        f"{answer.status} in {took:.1f} s",
        answer.status == 422 and took < within(SOON),
    )
