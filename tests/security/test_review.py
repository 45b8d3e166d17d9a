"""Attacks of the security review that no other test covers. review.py names the test of each of its lines."""

import ast
import base64
import hmac
import http.client
import json
import os
import socket
import stat
import time
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from access.models import Membership, Team
from access.roles import Role
from api.resources import events
from builds import servers
from builds.checkout import BuildRefused
from builds.providers import ProviderUnreachable
from builds.sandbox.running import last_line
from deployer.engine.journal import Kind
from microservice.models import MicroService
from tests import factories
from tests.api.client import Api
from tests.api.test_events import Reader, own_broadcaster  # noqa: F401
from tests.builds.test_checkout import git, job
from tests.lab.busy import within
from tests.lab.web import Web
from tests.security.review import COVERED

ROOT = Path(__file__).resolve().parents[2]


def test_listed_protections_have_existing_tests():
    missing = []
    for tests in COVERED.values():
        for path, function in tests:
            known = {
                node.name
                for node in ast.walk(ast.parse((ROOT / path).read_text()))
                if isinstance(node, ast.FunctionDef)
            }
            missing += [] if function in known else [f"{path}::{function}"]
    assert not missing and len(COVERED) > 25


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("loss", ["logout", "removal", "deactivation", "reset"])
def test_stream_ends_after_lost_right(monkeypatch, own_broadcaster, loss):  # noqa: F811
    monkeypatch.setattr(events, "KEEPALIVE", 0.05)
    monkeypatch.setattr(events, "RIGHTS_INTERVAL", 0.1)
    deployment = factories.running()
    team = Team.objects.create(name="red")
    MicroService.objects.update(team=team)
    Team.objects.create(name="blue")
    vera = get_user_model().objects.create_user("vera", password="x")
    member = Membership.objects.create(team=team, user=vera, role=Role.VIEWER)
    client = Client()
    client.force_login(vera)
    answer = client.get(f"/api/v1/deployments/{deployment.pk}/events")
    assert answer.status_code == 200
    reader = Reader(answer)
    for _ in range(6):
        next(reader.parts)
    match loss:
        case "logout":
            client.post("/logout/")
        case "removal":
            member.delete()
        case "deactivation":
            get_user_model().objects.filter(pk=vera.pk).update(is_active=False)
        case "reset":
            vera.set_password("y")
            vera.save()
    began = time.monotonic()
    assert reader.event() is None
    assert time.monotonic() - began < within(3)


# --- bytes sent -------------------------------------------------------------------------------------------------------

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n"
CHUNK = b"0\r\n\r\n"


def speak(port: int, head: bytes, body: bytes) -> list[bytes]:
    """Return the status lines of all answers."""
    host = f"127.0.0.1:{port}".encode()
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        line.settimeout(3)
        request = b"POST /login/ HTTP/1.1\r\nHost: {host}\r\n" + head + b"\r\n" + body
        line.sendall(request.replace(b"{host}", host))
        heard = b""
        try:
            while data := line.recv(65536):
                heard += data
        except TimeoutError:
            pass
    return [text for text in heard.split(b"\r\n") if text.startswith(b"HTTP/1.1 ")]


@pytest.mark.django_db(transaction=True)
def test_no_request_hides_in_the_body_of_another(environment, tmp_path):
    both = {
        "CL.TE": (b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % len(CHUNK + HIDDEN), CHUNK + HIDDEN),
        "TE.CL": (b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"5c\r\n" + HIDDEN + CHUNK),
        "two lengths": (b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(HIDDEN), HIDDEN),
        "a list of lengths": (b"Content-Length: 0, 0\r\n", HIDDEN),
        "a signed length": (b"Content-Length: +5\r\n", b"hello"),
        "an odd encoding": (b"Transfer-Encoding: xchunked\r\n", CHUNK + HIDDEN),
        "an encoding twice": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", CHUNK + HIDDEN),
        "a hidden encoding": (b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", CHUNK + HIDDEN),
        "a folded header": (b"X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNK + HIDDEN),
        "a bare newline": (b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNK + HIDDEN),
        "a chunk that lies": (b"Transfer-Encoding: chunked\r\n", b"zz\r\n" + HIDDEN),
    }
    with Web(environment, tmp_path / "web.log") as web:
        for name, (head, body) in both.items():
            said = speak(web.port, head, body)
            assert len(said) <= 1, (name, said)
            assert not said or said[0].split()[1] in (b"400", b"403", b"501"), (name, said)
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
    assert "smuggled" not in (tmp_path / "web.log").read_text()


# --- reports of build servers -----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_report_is_fresh_signed_unique_and_small(monkeypatch):
    monkeypatch.setattr(servers, "webhook_secret", lambda name: "s")

    def report(at: float, secret="s", size=0) -> int:
        raw = json.dumps({"version_id": 1, "status": "success", "x": "y" * size}).encode()
        digest = hmac.digest(secret.encode(), f"m.{int(at)}.".encode() + raw, "sha256")
        return (
            Api()
            .post(
                "/builds/jenkins/webhook",
                raw,
                webhook_id="m",
                webhook_timestamp=str(int(at)),
                webhook_signature="v1," + base64.b64encode(digest).decode(),
            )
            .status_code
        )

    now = time.time()
    for wrong in (report(now - 400), report(now + 400), report(now, "other"), report(now, "")):
        assert wrong == 401
    for odd in ("9" * 400, "9" * 5000, "-1", "1e9", "\u0661", ""):
        headers = {"webhook_id": "m", "webhook_timestamp": odd, "webhook_signature": "v1,x"}
        assert Api().post("/builds/jenkins/webhook", {}, **headers).status_code == 401, odd[:10]
    assert report(now, size=9 << 20) == 413
    assert report(now) not in (401, 413, 500)


# --- names, refs, addresses -------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../x",
        "a/b",
        "/etc",
        "a\0b",
        "a\nb",
        "-x",
        ".x",
        "",
        "a b",
        "x" * 129,
        "\u202ea",
        "a\x1b[m",
        "%2e%2e",
        "a\\b",
        "~",
        "$(id)",
        "a;b",
        "\ud83d",
    ],
)
def test_version_name_is_not_a_path(api, name):
    factories.service("shop")
    assert api().post("/services/shop/versions/", {"version": name}).status_code in (400, 422)


@pytest.mark.parametrize(
    "text",
    [
        "--upload-pack=touch {}",
        "-oProxyCommand=touch {}",
        "--exec=touch {}",
        "\n-c touch {}",
        "ext::touch {}",
        "--",
        "-",
        "$(touch {})",
        "`touch {}`",
        "x;touch {}",
    ],
)
def test_git_arguments_are_not_options(tmp_path, text):
    canary = tmp_path / "canary"
    masked = text.replace("{}", str(canary))

    class Place:
        url = f"file://{tmp_path}"

    for what in ({"ref": masked}, {"url": masked}, {"url": f"ssh://{masked}/x"}, {"url": f"ssh://a@{masked}/x"}):
        with pytest.raises((BuildRefused, ProviderUnreachable)):
            git("file", "ssh", "https").commit(job(Place, **what))
    assert not canary.exists()


def test_password_in_url_is_not_in_errors():
    for message in (
        "fatal: unable to access 'https://bob:hunter2@git.example/x.git/'",
        "https://hunter2@a/ //b:hunter2@c",
        "ssh://hunter2:hunter2@h and //hunter2@",
    ):
        assert "hunter2" not in last_line(f"before\n{message}\n")


# --- hosts and this machine -------------------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path):
    from tests.engine.host import Host

    made = Host(tmp_path)
    yield made
    made.end()


def test_operation_values_stay_private(host):
    canary = f"canary-{os.getpid()}-4711"
    run = host.run("install", None, "1.0", environment={"PASSWORD": canary}, post="sleep 3 # and " + canary)
    call = host.start(run)
    call.until(Kind.STARTED, "post")
    lines, strangers = [], []
    for each in filter(str.isdigit, os.listdir("/proc")):
        try:
            lines.append(Path(f"/proc/{each}/cmdline").read_bytes())
            environ = Path(f"/proc/{each}/environ").read_bytes()
        except OSError:
            continue
        if canary.encode() in environ and b"sleep" not in lines[-1]:
            strangers.append(lines[-1])
    assert not [line for line in lines if canary.encode() in line] and not strangers
    private = host.folder / ".deployer"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    files = [path for path in private.rglob("*") if path.is_file()]
    assert any(path.name == "program" for path in files)
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in files} == {0}
    call.over()


def test_broker_socket_is_private(broker):
    assert stat.S_IMODE(broker.path.stat().st_mode) == 0o700
