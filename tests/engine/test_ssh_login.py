"""Logging in: keys, passwords, older servers; and no secret in reprs or errors."""

import dataclasses
import socket
import threading
import traceback

import paramiko
import pytest

from deployer.engine import ssh
from deployer.engine.errors import (
    AuthRefused,
    BadCredential,
    KeyChanged,
    NoCommonAlgorithm,
)
from deployer.engine.ssh import Endpoint, connect
from tests.lab.relay import Relay
from tests.lab.sshd import Sshd

from .ssh_client import collect, endpoint_of, let_in, make_key


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("passphrase", ["", "a long one"])
def test_each_private_key_type_logs_in(sshd, tmp_path, kind, passphrase):
    private, public = make_key(tmp_path / "mine", kind, passphrase)
    let_in(sshd, public)
    with connect(endpoint_of(sshd, key=private, passphrase=passphrase)) as connection:
        assert collect(connection.run("echo in"))[0] == b"in\n"


def test_private_key_is_decrypted_once(sshd, tmp_path, monkeypatch):
    private, public = make_key(tmp_path / "mine", "ed25519", "slow to open")
    let_in(sshd, public)
    endpoint = endpoint_of(sshd, key=private, passphrase="slow to open")
    connect(endpoint).close()
    monkeypatch.setattr(ssh.keys, "_parse", lambda *_: pytest.fail("opened again"))
    connect(endpoint).close()


def test_unusable_credential_fails_before_connecting(sshd, tmp_path):
    private, _ = make_key(tmp_path / "mine", "ed25519", "right")
    broken = sshd.client_key.replace("b3BlbnNzaC1rZXktdjE", "b3BlbnNzaC1rZXktdjX")
    bad = [
        {"key": private},
        {"key": private, "passphrase": "wrong"},
        {"key": "no key at all"},
        {"key": "\0"},
        {"key": broken},
        {"key": ""},
        {"key": private[:200]},
        {"key": "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END"},
    ]
    with Relay(sshd.address, sshd.port) as relay:
        for fields in bad:
            with pytest.raises(BadCredential):
                connect(endpoint_of(sshd, address=relay.address, port=relay.port, **fields))
        assert relay.connections == 0


def test_unknown_key_is_refused_without_retry(sshd, tmp_path):
    private, _ = make_key(tmp_path / "mine", "ed25519")
    with pytest.raises(AuthRefused, match="auth_refused") as caught:
        connect(endpoint_of(sshd, key=private))
    assert not caught.value.passing


def test_password_is_refused_by_key_only_host(tmp_path):
    only_keys = "PasswordAuthentication no\nKbdInteractiveAuthentication no"
    with Sshd(tmp_path / "host", extra=only_keys) as host, pytest.raises(AuthRefused, match="other_methods"):
        connect(endpoint_of(host, key="", password="hunter2"))


class _PasswordServer(paramiko.ServerInterface):
    """OpenSSH takes passwords of the machine's own users only, and a test makes none; so this one is paramiko's."""

    def __init__(self, password: str):
        self.password, self.tried = password, []

    def get_allowed_auths(self, username):
        return "password"

    def check_auth_password(self, username, password):
        self.tried.append(password)
        return paramiko.AUTH_SUCCESSFUL if password == self.password else paramiko.AUTH_FAILED


@pytest.mark.parametrize("password", ["right", "wrong"])
def test_password_login(password):
    key, server = paramiko.ECDSAKey.generate(), _PasswordServer("right")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    transport = paramiko.Transport(listener.accept()[0])
                    transport.add_server_key(key)
                    transport.start_server(threading.Event(), server)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        pinned = f"{key.get_name()} {key.get_base64()}"
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1], "deploy", pinned, password=_Guarded(password))
        if password == "right":
            connect(endpoint).close()
        else:
            with pytest.raises(AuthRefused, match="not_accepted"):
                connect(endpoint)
        other = paramiko.ECDSAKey.generate()
        with pytest.raises(KeyChanged):
            connect(dataclasses.replace(endpoint, host_key=f"{other.get_name()} {other.get_base64()}"))
        listener.shutdown(socket.SHUT_RDWR)
    assert server.tried == [password]


class _Guarded(str):
    """A secret as the web side hands it in: printed, it shows nothing."""

    def __str__(self):
        return "[secret]"

    __repr__ = __str__

    def reveal(self):
        return str.__str__(self)


def test_secret_is_not_in_repr_or_traceback(sshd, tmp_path):
    private, _ = make_key(tmp_path / "mine", "ed25519", "open sesame")
    marks = [private.splitlines()[2], "open sesame", "hunter2"]
    secrets = {"key": private, "passphrase": "open sesame", "password": "hunter2"}
    endpoint = endpoint_of(sshd, **{name: _Guarded(text) for name, text in secrets.items()})
    outer = dataclasses.replace(endpoint, key="", jump=endpoint)
    texts = [repr(endpoint), str(outer), f"{outer}"]
    for trial in (endpoint, outer, dataclasses.replace(endpoint, passphrase=_Guarded("no"))):
        try:
            connect(trial)
        except (AuthRefused, BadCredential) as error:
            texts += [*traceback.format_exception(error), repr(error)]
    assert len(texts) > 6
    assert not [mark for mark in marks for text in texts if mark in text]


def test_connects_to_server_with_older_algorithms(tmp_path):
    older = "Ciphers aes256-ctr\nMACs hmac-sha2-256\nKexAlgorithms diffie-hellman-group14-sha256"
    with Sshd(tmp_path / "host", extra=older) as host, connect(endpoint_of(host)) as connection:
        assert collect(connection.run("cat"), b"x" * 300_000)[0] == b"x" * 300_000


def test_names_server_with_unsafe_algorithms_only(tmp_path):
    with Sshd(tmp_path / "host", extra="Ciphers aes128-cbc") as host, pytest.raises(NoCommonAlgorithm, match="aes128"):
        connect(endpoint_of(host))
