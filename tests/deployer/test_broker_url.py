"""BROKER_URL: read at the start in every wrong shape, and over TLS no stranger is spoken to."""
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from cryptography.fernet import Fernet

from deployer import environment as env
from tests.lab.broker import Broker
from tests.outside.servers import Authority

PASSWORD = "canary-of-the-broker"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:abc/0", "is no address that can be read"),
        ("redis://:pa[ss@127.0.0.1/0", "is no address that can be read"),
        ("http://127.0.0.1/", "must start with one of redis://"),
        ("127.0.0.1:6379", "must start with one of redis://"),
        ("rediss://127.0.0.1/?ssl_cert_reqs=perhaps", "has an ssl_cert_reqs that is neither required nor none"),
        ("rediss://127.0.0.1/?ssl_ca_certs=/nowhere/ca.pem", "names a file in ssl_ca_certs that is not there"),
    ],
)
def test_a_wrong_address_is_named_without_its_password(monkeypatch, url, said):
    monkeypatch.setenv("BROKER_URL", url.replace("://", f"://:{PASSWORD}@", 1) if "@" not in url else url)
    with pytest.raises(env.BadSetting) as caught:
        env.broker("BROKER_URL")
    assert said in str(caught.value) and PASSWORD not in str(caught.value) and "pa[ss" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://:pass@127.0.0.1:6379/0", "redis+socket:///tmp/b", "amqp://a:b@127.0.0.1//"])
def test_without_tls_the_address_stays_as_it_is(monkeypatch, url):
    monkeypatch.setenv("BROKER_URL", url)
    assert env.broker("BROKER_URL") == (url, None)


def test_amqps_is_verified_by_name_too(monkeypatch):
    monkeypatch.setenv("BROKER_URL", "amqps://a:b@mq.example.com/v")
    assert env.broker("BROKER_URL") == (
        "amqps://a:b@mq.example.com/v", {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "mq.example.com"})


class Tls:
    """A door that speaks TLS in front of a real broker; `heard`: what came through it in plain text."""

    def __init__(self, broker: Broker, certificate: tuple[str, str], folder):
        self.broker, self.heard = broker, b""
        pem = folder / "server.pem"
        pem.write_text("".join(certificate))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        try:
            with self.context.wrap_socket(client, server_side=True) as near, \
                    socket.socket(socket.AF_UNIX) as far:
                far.connect(str(self.broker.path))
                back = threading.Thread(target=self._copy, args=(far, near, False), daemon=True)
                back.start()
                self._copy(near, far, True)
        except OSError:
            return

    def _copy(self, source, target, note: bool) -> None:
        try:
            while piece := source.recv(65536):
                if note:
                    self.heard += piece
                target.sendall(piece)
        except OSError:
            return


@contextmanager
def tls_broker(folder, certificate):
    with Broker(folder / "b") as broker:
        door = Tls(broker, certificate, folder)
        try:
            yield door
        finally:
            door.listener.close()


def connected(url: str, var) -> subprocess.CompletedProcess:
    """Whether the product's own Celery application reaches the broker at `url`."""
    code = ("from deployer.celery import app; line = app.connection_for_write(); line.connect(); "
            "line.default_channel.client.ping()")
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={
        "PATH": "/usr/bin:/bin", "VAR": str(var), "SECRET_KEY": "s" * 40, "FIELD_KEYS": Fernet.generate_key().decode(),
        "BROKER_URL": url})


def test_a_broker_with_a_stranger_s_certificate_is_sent_nothing(short_tmp):
    with tls_broker(short_tmp, Authority().issue("stranger")) as door:
        url = f"rediss://:{PASSWORD}@127.0.0.1:{door.port}/0"
        refused = connected(url, short_tmp)
        assert refused.returncode and "certificate verify failed" in refused.stderr.lower()
        assert door.heard == b"" and PASSWORD not in refused.stderr
        # Whoever says so gets a line that is not verified. The real broker knows no password: it is asked, and refuses.
        assert PASSWORD.encode() in (connected(f"{url}?ssl_cert_reqs=none", short_tmp), door.heard)[1]


def test_a_broker_is_known_by_its_own_authority(short_tmp):
    authority = Authority()
    (short_tmp / "ca.pem").write_text(authority.pem)
    with tls_broker(short_tmp, authority.issue("broker")) as door:
        reached = connected(f"rediss://127.0.0.1:{door.port}/0?ssl_ca_certs={short_tmp}/ca.pem", short_tmp)
        assert reached.returncode == 0, reached.stderr
        other = connected(f"rediss://localhost:{door.port}/0?ssl_ca_certs={short_tmp}/ca.pem", short_tmp)
        assert other.returncode and "certificate verify failed" in other.stderr.lower()  # another name
