"""How an engine is reached, what keeps it from that, and what then is said."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from access.secrets import Secret
from integrations.docker import engine as engines
from integrations.docker.errors import EngineAway, EngineFailed, GivenUp
from integrations.docker.target import Interrupt, address_error
from tests.lab.authority import Authority
from tests.lab.busy import within

from .doors import answer, door, drip, endless, silent, version
from .parts import part, secure


def why(settings: dict) -> str:
    """Return the code of the error of connecting."""
    with pytest.raises(EngineFailed) as failed:
        engines.connect(settings)
    return failed.value.message.code


def test_speaks_to_a_real_engine_over_tls_and_a_socket(docker_engine, monkeypatch):
    for settings in (secure(docker_engine), part(docker_engine.socket_url)):
        engine = engines.connect(settings)
        assert engine.version.startswith(docker_engine.asked("GET", "/version")["Version"])
        assert engine.api == min("1.44", docker_engine.asked("GET", "/version")["ApiVersion"])
        assert engine.platform.startswith("linux/") and engine.ask("GET", "/_ping").body == b"OK"
    assert docker_engine.client[1] not in repr(engine)


def test_what_is_wrong_with_tls(docker_engine):
    other = Authority()
    certificate, key = other.issue("stranger")
    right, right_key = docker_engine.client
    assert why(part(docker_engine.url)) == "engine_away.speaks_tls"
    assert why(part(docker_engine.url, ca=docker_engine.ca)) == "engine_away.client_certificate"
    wrong = {"ca": docker_engine.ca, "client_cert": certificate, "client_key": Secret(key)}
    assert why(part(docker_engine.url, **wrong)) == "engine_away.client_certificate"
    wrong = {"ca": other.pem, "client_cert": right, "client_key": Secret(right_key)}
    assert why(part(docker_engine.url, **wrong)) == "engine_away.certificate"
    assert why(part(docker_engine.url, client_cert=right, client_key=Secret(right_key))) == "engine_away.certificate"
    assert engines.connect(secure(docker_engine, ca="", verify=False)).version
    named_otherwise = docker_engine.url.replace("127.0.0.1", "127.0.0.2")
    with door(version()) as url:
        assert why(part(url, tls=True)) == "engine_away.speaks_no_tls"
    assert why({**secure(docker_engine), "url": named_otherwise}) in ("engine_away.refused", "engine_away.certificate")


def test_certificates_of_the_environment_do_not_matter(docker_engine, tmp_path):
    """Other libraries trust what REQUESTS_CA_BUNDLE and the like name, in place of the settings."""
    (tmp_path / "other.pem").write_text(Authority().pem)
    variables = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "DOCKER_CERT_PATH", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    code = (
        "import django, json, sys; django.setup()\n"
        "from integrations.docker import engine\n"
        "print(engine.connect(json.load(sys.stdin)).api)\n"
    )
    settings = secure(docker_engine)
    text = json.dumps({**settings, "client_key": settings["client_key"].reveal()})
    environment = {**os.environ, **dict.fromkeys(variables, str(tmp_path / "other.pem"))}
    environment["DJANGO_SETTINGS_MODULE"] = "deployer.settings"
    ran = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, env=environment)
    assert ran.stdout.startswith("1."), ran.stderr


def test_sockets(short_tmp):
    assert why(part(f"unix://{short_tmp}/none")) == "engine_away.no_socket"
    (short_tmp / "file").write_text("")
    assert why(part(f"unix://{short_tmp}/file")) == "engine_away.refused"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user that may not use the socket")
def test_socket_that_is_not_permitted(short_tmp):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(short_tmp / "s"))
    server.listen()
    (short_tmp / "s").chmod(0o600)
    short_tmp.chmod(0o755)
    os.seteuid(65534)
    try:
        assert why(part(f"unix://{short_tmp}/s")) == "engine_away.not_permitted"
    finally:
        os.seteuid(0)
        server.close()


def test_nobody_there():
    assert why(part("tcp://127.0.0.1:1")) == "engine_away.refused"
    assert why(part("tcp://nowhere.invalid:2375")) == "engine_away.connection"


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"<html>hello</html>", kind="text/html"),
        answer(b"<html>no such page</html>", "404 Not Found", "text/html"),
        answer(b"[1, 2]"),
        answer(b'{"ApiVersion": "new"}'),
        answer(b"[" * 100_000),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.example.com ESMTP\r\n",
    ],
)
def test_something_that_is_no_engine(reply):
    with door(reply) as url:
        assert why(part(url)) == "engine_away.no_engine"


def test_versions():
    with door(version()) as url:
        assert engines.connect(part(url)).api == "1.44"
    with door(version(ApiVersion="1.40", MinAPIVersion="1.12")) as url:
        assert engines.connect(part(url)).api == "1.40"
    with door(version(ApiVersion="1.39", MinAPIVersion="1.12")) as url:
        assert why(part(url)) == "engine_too_old"
    with door(version(MinAPIVersion="1.45")) as url:
        assert why(part(url)) == "engine_too_new"


@pytest.mark.parametrize("reply", [silent, drip])
def test_engine_that_hangs(monkeypatch, reply):
    """Also where it sends a byte now and then."""
    monkeypatch.setattr(engines, "SHORT", 0.5)
    begun = time.monotonic()
    with door(reply) as url:
        assert why(part(url)) == "engine_away.timeout"
    assert time.monotonic() - begun < within(2)


def test_endless_answer():
    with door(endless) as url:
        assert why(part(url)) == "unreachable.answer_too_large"


def test_another_thread_ends_it():
    interrupt = Interrupt()
    threading.Timer(0.2, interrupt.cut).start()
    begun = time.monotonic()
    with door(silent) as url, pytest.raises(GivenUp):
        engines.connect(part(url), interrupt)
    assert time.monotonic() - begun < within(2)
    with door(version()) as url, pytest.raises(GivenUp):  # one that was cut before begins nothing
        engines.connect(part(url), interrupt)


def test_closed_without_a_word():
    with door(b"") as url, pytest.raises(EngineAway) as failed:
        engines.connect(part(url))
    assert failed.value.message.code == "engine_away.closed"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("tcp://docker.example.com", ""),
        ("tcp://docker.example.com:2376/", ""),
        ("tcp://[::1]:2375", ""),
        ("unix:///var/run/docker.sock", ""),
        ("unix://docker.sock", "engine_socket"),
        ("unix:///" + "x" * 107, "engine_socket"),
        ("unix:///a\nb", "engine_socket"),
        ("", "engine_address"),
        ("docker.example.com:2375", "engine_address"),
        ("http://docker.example.com:2375", "engine_address"),
        ("ssh://docker.example.com", "engine_address"),
        ("tcp://docker.example.com:0", "engine_address"),
        ("tcp://docker.example.com:99999", "engine_address"),
        ("tcp://docker.example.com/v1", "engine_address"),
        ("tcp://ann:word@docker.example.com", "url_userinfo"),
        ("tcp://docker.example.com?x=1", "address_plain"),
        ("tcp://dockér.example.com", "address_plain"),
    ],
)
def test_addresses(url, code):
    assert address_error(url) == code
