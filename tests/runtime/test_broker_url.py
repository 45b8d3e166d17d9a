"""BROKER_URL: every wrong value stops the start, and over TLS every server is verified."""

import socket
import ssl
import subprocess
import sys
import threading

import pytest
from cryptography.fernet import Fernet

from runtime import environment as env
from runtime.broker_url import broker
from tests.lab.authority import Authority
from tests.lab.broker import Broker
from tests.lab.rabbitmq import RabbitMq

pytestmark = pytest.mark.found("settings")
PASSWORD = "canary-of-the-broker"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:abc/0", "is not a valid URL"),
        ("redis://:pa[ss@127.0.0.1/0", "is not a valid URL"),
        ("redis://:pass#word@127.0.0.1/0", "is its password percent-encoded?"),
        ("redis://u:12/pass@127.0.0.1/0", "is its password percent-encoded?"),
        ("redis://u:12?pass@127.0.0.1/0", "is its password percent-encoded?"),
        ("redis://:pa ss@127.0.0.1/0", "percent-encode them"),
        ("redis://127.0.0.1/abc", "must name its database by a number"),
        ("http://127.0.0.1/", "must start with one of redis://"),
        ("127.0.0.1:6379", "must start with one of redis://"),
        ("rediss://127.0.0.1/?ssl_cert_reqs=perhaps", "has an ssl_cert_reqs that is neither required nor none"),
        ("rediss://127.0.0.1/?ssl_ca_certs=/nowhere/ca.pem", "names a file in ssl_ca_certs that cannot be read"),
        ("rediss://127.0.0.1/?ssl_ca_certs=/etc/hostname", "names a file in ssl_ca_certs without a certificate"),
        ("rediss://127.0.0.1/?ssl_keyfile=/etc/hostname", "has an ssl_keyfile without an ssl_certfile"),
        ("redis://127.0.0.1/0?ssl_ca_certs=/etc/hostname", "needs TLS"),
        ("redis://127.0.0.1/0?timeout=3", "has an unknown parameter; allowed: virtual_host"),
        ("sentinel://127.0.0.1:26379/0", "must name the master that the Sentinels watch"),
        ("redis://127.0.0.1/0;amqp://127.0.0.1//", "has addresses with different schemes"),
        ("redis+socket://host/run/b.sock", "must name a path after three slashes"),
    ],
)
def test_rejects_invalid_urls_without_the_password(monkeypatch, url, said):
    plain = "@" in url or url.startswith("redis+socket")
    monkeypatch.setenv("BROKER_URL", url if plain else url.replace("://", f"://:{PASSWORD}@", 1))
    with pytest.raises(env.InvalidSetting) as caught:
        broker("BROKER_URL")
    assert said in str(caught.value)
    assert not any(secret in str(caught.value) for secret in (PASSWORD, "pa[ss", "pass#", "/pass", "?pass", "pa ss"))


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pass@127.0.0.1:6379/0",
        "redis+socket:///tmp/b",
        "amqp://a:b@127.0.0.1//",
        "amqp://a:b@[::1]:5672/v%2Fw",
        "redis://:p%23s%2Fs@h/15",
        "redis://u:a:b@h/0",
        "redis://h/0;redis://k/0",
        "redis:///0",
        "redis+socket:///tmp/b?virtual_host=3",
    ],
)
def test_keeps_urls_without_tls(monkeypatch, url):
    monkeypatch.setenv("BROKER_URL", url)
    assert (broker("BROKER_URL").url, broker("BROKER_URL").tls) == (url, None)


def test_amqps_verifies_each_server_name(monkeypatch):
    monkeypatch.setenv("BROKER_URL", "amqps://a:b@mq1.example.com/v;amqps://a:b@mq2.example.com/v")
    read = broker("BROKER_URL")
    assert (read.url, read.tls) == (
        "amqps://a:b@mq1.example.com/v;amqps://a:b@mq2.example.com/v",
        {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None},
    )


def test_options_apply_to_every_url(monkeypatch):
    monkeypatch.setenv(
        "BROKER_URL",
        "sentinels://:pw@one:26379;sentinels://two:26380/2?master_name=main"
        "&sentinel_password=own&ssl_check_hostname=false",
    )
    read = broker("BROKER_URL")
    assert read.url == "sentinel://:pw@one:26379/2;sentinel://:pw@two:26380/2"
    assert read.tls == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": False}
    assert read.options["master_name"] == "main"
    own = read.options["sentinel_kwargs"]
    assert (own["password"], own["ssl"], own["ssl_cert_reqs"]) == ("own", True, ssl.CERT_REQUIRED)


class Tls:
    """A door that speaks TLS in front of a real broker, at a socket or a port; `heard`: what came through it in plain
    text. `client_ca`: whose certificates it takes of clients."""

    def __init__(self, target, certificate: tuple[str, str], folder, client_ca: str = ""):
        self.target, self.heard = target, b""
        pem = folder / "server.pem"
        pem.write_text("".join(certificate))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        if client_ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(cadata=client_ca)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self) -> "Tls":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        try:
            with self.context.wrap_socket(client, server_side=True) as near, self._reach() as far:
                back = threading.Thread(target=self._copy, args=(far, near, False), daemon=True)
                back.start()
                self._copy(near, far, True)
        except OSError:
            return

    def _reach(self) -> socket.socket:
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target), 5)
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self.target))
        return far

    def _copy(self, source, target, note: bool) -> None:
        try:
            while piece := source.recv(65536):
                if note:
                    self.heard += piece
                target.sendall(piece)
        except OSError:
            return


def connected(url: str, var) -> subprocess.CompletedProcess:
    """Return whether the product's own Celery application reaches the broker at `url`."""
    code = "from deployer import broker_check; broker_check._write()"
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PATH": "/usr/bin:/bin",
            "DATA_DIR": str(var),
            "SECRET_KEY": "s" * 40,
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "BROKER_URL": url,
        },
    )


@pytest.fixture(params=["rediss", "amqps"])
def behind(request, short_tmp):
    """Yield a real broker: (the scheme, where it is, how its address ends, who may use it)."""
    if request.param == "rediss":
        with Broker(short_tmp / "b") as server:
            yield "rediss", server.path, "/0", ""
    else:
        with RabbitMq(short_tmp / "rabbit") as server:
            yield "amqps", server.port, "//", "guest"


def refused(done: subprocess.CompletedProcess) -> bool:
    return bool(done.returncode) and "certificate verify failed" in done.stderr.lower() and PASSWORD not in done.stderr


def test_connects_to_verified_servers_only(behind, short_tmp):
    scheme, target, end, user = behind
    with Tls(target, Authority().issue("stranger"), short_tmp) as door:
        url = f"{scheme}://{user}:{PASSWORD}@127.0.0.1:{door.port}{end}"
        assert refused(connected(url, short_tmp))
        assert door.heard == b"", "an unverified server is sent nothing"
        # An explicit setting turns verification off. The real broker knows no such password, and refuses.
        assert PASSWORD.encode() in (connected(f"{url}?ssl_cert_reqs=none", short_tmp), door.heard)[1]

    authority = Authority()
    (short_tmp / "ca.pem").write_text(authority.pem)
    own = f"ssl_ca_certs={short_tmp}/ca.pem"
    with Tls(target, authority.issue("broker"), short_tmp) as door:
        signed = f"{user}:guest@" if user else ""
        good, other = (f"{scheme}://{signed}{host}:{door.port}{end}?{own}" for host in ("127.0.0.1", "localhost"))
        reached = connected(good, short_tmp)
        assert reached.returncode == 0, reached.stderr
        assert refused(connected(f"{scheme}://{signed}127.0.0.1:{door.port}{end}", short_tmp)), "not the system's"
        if scheme == "rediss":  # kombu makes 127.0.0.1 of localhost for AMQP
            assert refused(connected(other, short_tmp)), "another name"

    (short_tmp / "client.pem").write_text("".join(authority.issue("client")))
    with Tls(target, authority.issue("broker"), short_tmp, client_ca=authority.pem) as door:
        url = f"{scheme}://{signed}127.0.0.1:{door.port}{end}?{own}"
        assert connected(url, short_tmp).returncode, "without a certificate of its own"
        reached = connected(f"{url}&ssl_certfile={short_tmp}/client.pem&ssl_keyfile={short_tmp}/client.pem", short_tmp)
        assert reached.returncode == 0, reached.stderr
