"""What a security review tried in vain, and had no test yet. What has one elsewhere is named in HELD, so that nothing
of the list is lost when tests are renamed: each id there must exist.
"""
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
from builds import checkout, servers
from builds.checkout import Git, Refused
from builds.origin import Silent
from deployer.engine.journal import Kind
from microservice.api import events
from microservice.models import MicroService
from tests.builds.test_checkout import job
from tests.lab.web import Web
from tests.microservice import fleet
from tests.microservice.api.conftest import Api, api  # noqa: F401
from tests.microservice.api.test_events import Reader, own_hub  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
# A line of the review's list → the tests that hold it.
HELD = {
    "the session's id changes at sign-in": (
        ("tests/security/test_sessions.py", "test_a_session_that_was_planted_is_another_one_after_signing_in"),
    ),
    "logout by POST only, and it ends the session": (
        ("tests/security/test_sessions.py", "test_signing_out_takes_a_post_and_ends_the_session_on_the_server"),
    ),
    "a new password ends the other sessions, a reset all": (
        ("tests/security/test_sessions.py", "test_a_new_password_ends_the_other_sessions_and_a_reset_ends_all"),
    ),
    "deactivation ends sessions and tokens": (
        ("tests/security/test_sessions.py", "test_who_is_shut_out_has_neither_session_nor_token"),
    ),
    "next and language lead to no other site": (
        ("tests/security/test_sessions.py", "test_nothing_leads_to_another_site"),
    ),
    "Host and X-Forwarded-Host": (
        ("tests/security/test_sessions.py", "test_a_foreign_host_is_refused_and_a_forwarded_one_is_not_looked_at"),
    ),
    "X-Forwarded-For and -Proto of trusted proxies only": (
        ("tests/access/test_address.py", "test_only_trusted_proxies_are_believed"),
        ("tests/access/test_forwarded.py", "test_nobody_else_is"),
    ),
    "CSRF, on sign-in too, and for the API with a session": (
        ("tests/security/test_sessions.py", "test_a_form_counts_only_with_its_token_from_our_own_pages"),
    ),
    "no CORS, no TRACE": (
        ("tests/security/test_sessions.py", "test_no_other_site_may_read_and_no_method_echoes"),
    ),
    "IDOR over every method and path": (
        ("tests/access/test_people.py", "test_an_endpoint_of_a_service_for_each_role_in_each_team"),
        ("tests/access/test_people.py", "test_an_endpoint_of_everything_for_each_role"),
        ("tests/access/test_people.py", "test_the_console_goes_by_the_same_rule"),
    ),
    "nobody raises themselves or gives rights they lack": (
        ("tests/access/test_people.py", "test_nobody_takes_their_own_rights_away"),
        ("tests/console/test_pages_account.py", "test_nobody_gives_a_right_that_they_do_not_have"),
    ),
    "streams end after revocation, logout and removal": (
        ("tests/security/test_held.py", "test_a_stream_ends_soon_after_its_reader_lost_the_right"),
        ("tests/microservice/api/test_events.py", "test_a_stream_ends_soon_after_its_token_was_taken_back"),
        ("tests/access/test_watching.py", "test_who_may_not_any_more_is_nobody"),
    ),
    "no markup in any text field, both languages; CSP on all": (
        ("tests/security/test_markup.py", "test_nothing_that_somebody_wrote_is_markup_on_any_page"),
        ("tests/console/test_terminal.py", "test_nothing_but_our_own_spans_is_ever_markup"),
    ),
    "logs are text/plain, nosniff, sandbox": (
        ("tests/security/test_markup.py", "test_a_log_is_text_for_every_browser"),
    ),
    "CL.TE, TE.CL, doubled lengths": (
        ("tests/security/test_held.py", "test_no_request_hides_in_the_body_of_another"),
    ),
    "callbacks: addresses, rebinding, redirects": (
        ("tests/callbacks/test_wire.py", "test_private_addresses_are_refused"),
        ("tests/callbacks/test_wire.py", "test_an_address_that_is_none_is_refused_at_once"),
        ("tests/callbacks/test_wire.py", "test_a_name_is_resolved_once_and_that_address_is_spoken_to"),
        ("tests/callbacks/test_wire.py", "test_redirects_are_not_followed"),
    ),
    "webhooks: token, age, replay, size": (
        ("tests/builds/test_reports.py", "test_without_the_token_nothing_moves"),
        ("tests/builds/test_reports.py", "test_a_signed_report_moves_a_jenkins_build_once"),
        ("tests/security/test_held.py", "test_a_report_is_young_signed_counted_once_and_small"),
    ),
    "names of versions": (
        ("tests/security/test_held.py", "test_a_name_of_a_version_is_no_path"),
    ),
    "hostile archives, wrong digests": (
        ("tests/microservice/api/test_packages.py", "test_a_hostile_archive_is_refused_and_nothing_is_kept"),
        ("tests/microservice/api/test_packages.py", "test_the_announced_digest_is_verified"),
    ),
    "racing uploads": (
        ("tests/microservice/api/test_packages.py", "test_of_uploads_that_race_one_wins_and_the_store_holds_its_bytes"),
    ),
    "git: options, protocols, refs": (
        ("tests/builds/test_checkout.py", "test_only_the_allowed_protocols_are_spoken"),
        ("tests/builds/test_checkout.py", "test_what_is_no_ref_never_reaches_git"),
        ("tests/security/test_held.py", "test_no_ref_and_no_address_is_an_option_of_git"),
    ),
    "errors hide userinfo": (
        ("tests/security/test_held.py", "test_a_password_in_an_address_is_in_no_error"),
    ),
    "the runner: no value in argv, folders of its own": (
        ("tests/security/test_held.py", "test_no_value_of_an_operation_is_in_a_command_line_and_its_files_are_private"),
        ("tests/engine/test_runner_hostile.py", "test_values_reach_the_commands_unchanged_and_are_never_run"),
    ),
    "rotate_keys": (
        ("tests/access/test_commands.py", "test_rotate_keys_writes_every_secret_under_the_newest_key"),
    ),
    "no secret in logs, pages, errors, processes": (
        ("tests/microservice/test_canaries.py", "test_no_secret_comes_out_anywhere"),
    ),
    "idempotency keys are per caller": (
        ("tests/microservice/api/test_idempotency.py", "test_a_key_is_the_callers_own"),
    ),
    "the broker's socket is private": (
        ("tests/security/test_held.py", "test_the_brokers_socket_is_for_its_owner"),
    ),
    "the demo's files are private": (
        ("tests/demo/test_demo.py", "test_secrets_of_the_demo_are_readable_by_their_owner_only"),
    ),
    "the work of signing in says nothing about names": (
        ("tests/security/test_sessions.py", "test_a_name_that_nobody_has_costs_what_a_wrong_password_costs"),
    ),
}


def test_every_line_of_the_list_has_tests_that_exist():
    missing = []
    for tests in HELD.values():
        for path, function in tests:
            known = {node.name for node in ast.walk(ast.parse((ROOT / path).read_text()))
                     if isinstance(node, ast.FunctionDef)}  # fmt: skip
            missing += [] if function in known else [f"{path}::{function}"]
    assert not missing and len(HELD) > 25


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("loss", ["logout", "removal", "deactivation", "reset"])
def test_a_stream_ends_soon_after_its_reader_lost_the_right(monkeypatch, own_hub, loss):  # noqa: F811
    monkeypatch.setattr(events, "KEEPALIVE", 0.05)
    monkeypatch.setattr(events, "ASK_AGAIN", 0.1)
    deployment = fleet.running()
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
    assert time.monotonic() - began < 3


# --- bytes on the line ------------------------------------------------------------------------------------------------

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n"
CHUNK = b"0\r\n\r\n"


def speak(port: int, head: bytes, body: bytes) -> list[bytes]:
    """The status lines of all that comes back."""
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


# --- what build servers send ------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_report_is_young_signed_counted_once_and_small(monkeypatch):
    monkeypatch.setattr(servers, "webhook_secret", lambda name: "s")

    def report(at: float, secret="s", size=0) -> int:
        raw = json.dumps({"version_id": 1, "status": "success", "x": "y" * size}).encode()
        digest = hmac.digest(secret.encode(), f"m.{int(at)}.".encode() + raw, "sha256")
        return Api().post("/builds/jenkins/webhook", raw, webhook_id="m", webhook_timestamp=str(int(at)),
                          webhook_signature="v1," + base64.b64encode(digest).decode()).status_code  # fmt: skip

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
@pytest.mark.parametrize("name", ["..", "../x", "a/b", "/etc", "a\0b", "a\nb", "-x",
                                  ".x", "", "a b", "x" * 49, "\u202ea",
                                  "a\x1b[m", "%2e%2e", "a\\b", "~", "$(id)", "a;b", "\ud83d"])  # fmt: skip
def test_a_name_of_a_version_is_no_path(api, name):  # noqa: F811
    fleet.service("shop")
    assert api().post("/services/shop/versions/", {"version": name}).status_code in (400, 422)


@pytest.mark.parametrize("text", [
    "--upload-pack=touch {}", "-oProxyCommand=touch {}", "--exec=touch {}", "\n-c touch {}", "ext::touch {}", "--", "-",
    "$(touch {})", "`touch {}`", "x;touch {}",
])  # fmt: skip
def test_no_ref_and_no_address_is_an_option_of_git(tmp_path, text):
    canary = tmp_path / "canary"
    told = text.replace("{}", str(canary))

    class Place:
        url = f"file://{tmp_path}"

    for what in ({"ref": told}, {"url": told}, {"url": f"ssh://{told}/x"}, {"url": f"ssh://a@{told}/x"}):
        with pytest.raises((Refused, Silent)):
            Git(("file", "ssh", "https")).commit(job(Place, **what))
    assert not canary.exists()


def test_a_password_in_an_address_is_in_no_error():
    for said in ("fatal: unable to access 'https://bob:hunter2@git.example/x.git/'", "https://hunter2@a/ //b:hunter2@c",
                 "ssh://hunter2:hunter2@h and //hunter2@"):  # fmt: skip
        assert "hunter2" not in checkout._last_line(f"before\n{said}\n".encode())


# --- on hosts and on our own machine ----------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path):
    from tests.engine.host import Host

    made = Host(tmp_path)
    yield made
    made.end()


def test_no_value_of_an_operation_is_in_a_command_line_and_its_files_are_private(host):
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


def test_the_brokers_socket_is_for_its_owner(broker):
    assert stat.S_IMODE(broker.path.stat().st_mode) == 0o700
