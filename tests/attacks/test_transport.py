"""Network traffic and files: entries 1 (keys of processes), 8 and 18."""

import contextlib
import json
import re
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.lab.attack import unverified
from tests.lab.network import wait_until
from tests.lab.worker import ROOT

from .caller import Client, Meant
from .instance import PASSWORD

PRIVATE = (
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "169.254.169.254",
    "10.0.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "[fe80::1]",
    "[fc00::1]",
    "[fec0::1]",
    "192.0.0.8",
    "[5f00::1]",
    "localhost",
)
SPELLINGS = (
    "/{}",
    "/{}/",
    "//{}",
    "/./{}",
    "/x/../{}",
    "/%6{}",
    "/{}?x=1",
    "/{}%3f",
    "/{};x",
    "/{}%00",
    "/{}%20",
    "/{}.",
    "/{}%2f",
    "/static/../{}",
    "/static/..%2f{}",
    "/{}//",
    "/%2e/{}",
    "/\\{}",
    "/{}%0a",
    "/{}/.",
)


@pytest.mark.entry(1)
def test_keys_in_process_environments(instance, tried):
    found, pids = [], instance.processes()
    assert len(pids) >= 4, pids
    for pid in pids:
        for file in ("environ", "cmdline"):
            text = Path(f"/proc/{pid}/{file}").read_bytes()
            found += [f"{pid}/{file}: {name}" for name, value in instance.secrets.items() if value.encode() in text]
    tried("keys are looked for in environments and argument lists", f"{len(pids)} processes, found {found}", not found)


@pytest.mark.entry(8)
def test_other_local_user_reads_files(instance, tried):
    """The folders around are ours and closed; so is each file by itself, but for the pages' static files."""
    roots = (instance.var, instance.folder / "packages", instance.tmp)
    files = [path for root in roots for path in root.rglob("*") if path.is_file()]
    private = [path for path in files if not path.is_relative_to(instance.var / "static")]
    assert [path for path in private if path.suffix == ".gz"], "the control: packages are among them"
    found = [str(path) for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077]
    tried("another user reads data and packages", f"{len(private)} files, open to others: {found}", not found)
    environment = {**instance.environment, "DATA_DIR": str(instance.tmp / "other")}
    del environment["DATABASE_URL_FILE"]
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "access", "0001"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        umask=0o022,
    )
    database = instance.tmp / "other" / "deployer.sqlite3"
    assert database.is_file(), done.stderr
    modes = sorted({f"{stat.S_IMODE(path.stat().st_mode):04o}" for path in database.parent.glob("deployer.sqlite3*")})
    tried("… and an SQLite database, made under umask 022", f"{modes}", modes == ["0600"])


@pytest.mark.entry(18)
def test_transport(instance, tried):
    browser = instance.browser("127.0.8.1")
    answer = browser.ask("GET", "/login/")
    assert browser.sign_in("carol", PASSWORD.format("carol")).status == 302
    hsts = answer.headers.get_all("Strict-Transport-Security")
    tried("a browser is led to speak http", f"{hsts}", hsts is not None and "max-age=31536000" in hsts[0])
    plain = Client(instance.nginx.plain).ask("GET", "/services/?x=1")
    tried(
        "… the page over http",
        f"{plain.status} to {plain.headers['Location'][:8]}",
        plain.status == 301 and plain.headers["Location"].startswith("https://"),
    )
    names = sorted(name for name in browser.cookies if name.endswith(("sessionid", "csrftoken")))
    tried("another host of the domain sets cookies", f"{names}", names == ["__Host-csrftoken", "__Host-sessionid"])
    forged = instance.browser("127.0.8.1")
    forged.cookies = {"sessionid": browser.cookies["__Host-sessionid"]}
    answer = forged.ask("GET", "/account/")
    tried("… a session under the old name", str(answer.status), answer.status == 302)


@pytest.mark.entry(18)
def test_old_tls_versions(instance, tried):
    parts = urlsplit(instance.url)
    answers = {}
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = unverified()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning) if version < ssl.TLSVersion.TLSv1_2 else contextlib.nullcontext():
            context.minimum_version = context.maximum_version = version
        try:
            with socket.create_connection((parts.hostname, parts.port), 10) as line:
                answers[version.name] = context.wrap_socket(line).version()
        except (ssl.SSLError, OSError) as error:
            answers[version.name] = str(getattr(error, "reason", error))
    assert answers["TLSv1_2"] == "TLSv1.2" and answers["TLSv1_3"] == "TLSv1.3", answers
    for name in ("TLSv1", "TLSv1_1"):
        tried(f"a connection with {name}", answers[name], not answers[name].startswith("TLSv"))


@pytest.mark.entry(18)
@pytest.mark.parametrize("page", ["metrics", "readyz"])
def test_internal_pages_in_many_spellings(instance, tried, page):
    stranger, inside = Client(instance.url, source="127.0.8.2"), Client(instance.url)
    assert inside.ask("GET", f"/{page}").status == 200
    paths = [one.format(page) if "%6" not in one else f"/%{ord(page[0]):x}{page[1:]}" for one in SPELLINGS]
    answers = {one: _raw(instance.url, one, stranger.source) for one in paths}
    answers |= {f"{one} as {page.upper()}": _raw(instance.url, one.upper(), stranger.source) for one in paths[:2]}
    for header in (
        "X-Forwarded-For: 127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "X-Original-URL: /metrics",
        "Forwarded: for=127.0.0.1",
    ):
        answers[header] = _raw(instance.url, f"/{page}", stranger.source, header)
    secret = {"metrics": b"deployer_workers", "readyz": b'"ready"'}[page]
    got = [one for one, answer in answers.items() if secret in answer]
    statuses = sorted({answer.split(b" ")[1].decode() for answer in answers.values() if b" " in answer})
    tried(f"a stranger asks for /{page} in {len(answers)} ways", f"{statuses}, got in: {got}", not got)


def _raw(url: str, path: str, source: str, header: str = "X-Nothing: 1") -> bytes:
    parts = urlsplit(url)
    text = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{header}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port), 20, (source, 0)) as plain:
        line = unverified().wrap_socket(plain)
        line.sendall(text.encode())
        heard = b""
        try:
            while data := line.recv(65536):
                heard += data
        except OSError:
            pass
    return heard


@pytest.mark.entry(18)
def test_malformed_reports(instance, tried):
    bodies = {
        "variables as a number": {"object_kind": "pipeline", "object_attributes": {"variables": 5}},
        "a list as a key": {"object_kind": "pipeline", "object_attributes": {"variables": [{"key": [], "value": 1}]}},
        "a number of 5,000 digits": '{"object_kind": "pipeline", "object_attributes": {"id": ' + "9" * 5000 + "}}",
        "100,000 brackets": "[" * 100_000,
        "half a character": '"\\ud83d"',
        "no JSON": "\0",
        "nothing": "",
        "a list": [],
        "attributes as a text": {"object_kind": "pipeline", "object_attributes": "x"},
    }
    saved = instance.admin.api(
        "PUT",
        "/settings/",
        {"gitlab": {"url": instance.gitlab.url, "token": "glpat-of-deployer", "webhook_secret": "the-hook-secret"}},
    )
    assert saved.status == 200, saved.text
    for name, body in bodies.items():
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        answer = Client(instance.url).ask(
            "POST",
            "/api/v1/builds/gitlab/webhook",
            raw,
            Content_Type="application/json",
            X_Gitlab_Token="the-hook-secret",
        )
        tried(f"a verified report that is {name}", answer.said, answer.status in (200, 400, 413, 422))
    for shown in ("", "wrong", instance.secrets["BUILD_WEBHOOK_SECRET"]):
        answer = Client(instance.url).ask(
            "POST", "/api/v1/builds/gitlab/webhook", b"{}", X_Gitlab_Token=shown, Content_Type="application/json"
        )
        tried(f"a report with {'another' if shown else 'no'} token", answer.said, answer.status == 401)


@pytest.mark.entry(18)
def test_callbacks_to_internal_addresses(instance, tried):
    port, before = urlsplit(instance.gitlab.url).port, len(instance.gitlab.requests)
    answers = {}
    for host in PRIVATE:
        made = instance.admin.post("/callbacks/", {"url": f"http://{host}:{port}/inside", "active": False})
        if made.status != 201:
            answers[host] = made.said
            continue
        path = f"/callbacks/{made.json['id']}"
        tested = instance.admin.post(f"{path}/test")
        answers[host] = "refused" if "may not reach" in tested.text or "no name" in tested.text else tested.text[:200]
        instance.admin.api("DELETE", path)
    others = {host: answer for host, answer in answers.items() if answer not in ("refused", "422 invalid")}
    paths = [path for _, path, _ in instance.gitlab.requests[before:] if "inside" in path]
    tried(
        f"callbacks to {len(PRIVATE)} spellings of inner addresses",
        f"{len(paths)} arrived, not refused: {others}",
        not paths and not others,
    )


@pytest.mark.entry(18)
def test_callbacks_of_builds_to_internal_addresses(instance, tried):
    port, before = urlsplit(instance.gitlab.url).port, len(instance.gitlab.requests)
    url = f"{instance.gitlab.url}/no-such-repository.git"
    made = instance.admin.made(
        "/services/", {"name": "teller", "team": "red", "build_orig": "git", "build_url": url, "build_command": "true"}
    )
    others = {}
    for host in PRIVATE:
        answer = _told_at(instance.people["carol"], made["name"], f"http://{host}:{port}/inside")
        if answer not in ("422 invalid", "refused"):
            others[host] = answer
    paths = [path for _, path, _ in instance.gitlab.requests[before:] if "inside" in path]
    tried(
        f"a build's callbacks to {len(PRIVATE)} spellings of inner addresses, by a publisher",
        f"{len(paths)} arrived, not refused: {others}",
        not paths and not others,
    )


def _told_at(who: Client, service: str, url: str) -> str:
    version = who.made(f"/services/{service}/versions/", {"version": f"v{abs(hash(url))}"})["id"]
    path = f"/services/{service}/versions/{version}/build"
    asked = who.post(path, {"callback_url": url})
    if asked.status != 202:
        return asked.said
    told = wait_until(
        # An attempt counts from its start, and says only at its end how it went.
        lambda: next((one for one in who.get(path).json["callbacks"] if one["error"] or one["sent"]), None),
        60,
        f"{url} being told",
    )
    return "refused" if "may not reach" in told["error"] or "no name" in told["error"] else str(told)


@pytest.mark.entry(18)
def test_loopback_behind_a_wide_allowance(instance, tried):
    port, before = urlsplit(instance.gitlab.url).port, len(instance.gitlab.requests)
    revision = instance.admin.get("/settings/").json["id"]
    wide = {"callbacks": {"allowed": ["0.0.0.0/0", "::/0", "localhost"]}}
    assert instance.admin.api("PUT", "/settings/", wide).status == 200
    answers = {}
    for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "169.254.169.254", "0.0.0.0", "localhost", "2130706433"):
        made = instance.admin.post("/callbacks/", {"url": f"http://{host}:{port}/inside", "active": False})
        if made.status == 201:
            tested = instance.admin.post(f"/callbacks/{made.json['id']}/test")
            answers[host] = "refused" if "may not reach" in tested.text else tested.text[:200]
            instance.admin.api("DELETE", f"/callbacks/{made.json['id']}")
    restored = instance.admin.post(f"/settings/history/{revision}/restore") if revision else None
    if restored is None or restored.status != 200:
        instance.admin.api("PUT", "/settings/", {})
    others = {host: answer for host, answer in answers.items() if answer != "refused"}
    paths = [path for _, path, _ in instance.gitlab.requests[before:] if "inside" in path]
    tried(
        "loopback and metadata addresses where callbacks may go anywhere",
        f"{len(paths)} arrived, not refused: {others}",
        not paths and not others,
    )


@pytest.mark.entry(18)
def test_forged_proxy_headers(instance, tried):
    parts = urlsplit(instance.url)
    for host in ("evil.example", f"evil.example:{parts.port}", "127.0.0.1.evil.example"):
        answer = Client(instance.url).ask("GET", "/login/", Host=host)
        tried(f"a request for the host {host}", str(answer.status), answer.status == 400)
    answer = Client(instance.url).ask("GET", "/login/", X_Forwarded_Host="evil.example")
    assert answer.status == 200
    tried("X-Forwarded-Host changes addresses in a page", Meant("it is ignored"), "evil.example" not in answer.text)
    answer = Client(instance.url).ask("TRACE", "/login/")
    tried("TRACE", str(answer.status), answer.status == 405)
    server = Client(instance.url).ask("GET", "/login/").headers["Server"]
    tried("the versions of the servers are told", server, not re.search(r"\d", server))
