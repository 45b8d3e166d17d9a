"""Servers with other algorithms: connected to where paramiko can, else reported with both lists and never retried."""

import dataclasses
import io
import socket
import subprocess
import threading
import zlib

import paramiko
import pytest

from deployer.engine.decisions import OutcomeKind
from deployer.engine.errors import AuthRefused, KeyChanged, NoCommonAlgorithm, TooOld
from deployer.engine.ssh import Endpoint, algorithms, connect, fetch_host_key
from deployer.engine.ssh.packets import MAX_PACKET, BoundedDecompressor
from messages.rendering import english, hint
from tests.lab.relay import Relay
from tests.lab.sshd import Sshd

from .paramiko_server import Odd
from .site import Site
from .ssh_client import check, collect, endpoint_of, let_in, make_key
from .words import next_step, said, warnings

pytestmark = pytest.mark.found("ssh")

OPTIONS = {"kex": "KexAlgorithms", "cipher": "Ciphers", "mac": "MACs", "key-sig": "HostKeyAlgorithms"}
LISTS = {"kex": "kex", "cipher": "ciphers", "mac": "macs", "key-sig": "keys"}


def known_to_sshd(what: str) -> list[str]:
    listed = subprocess.run(["ssh", "-Q", what], capture_output=True, text=True, check=True).stdout.split()
    return [name for name in listed if "cert" not in name and not name.startswith(("sk-", "webauthn-", "ssh-dss"))]


EACH = [(what, name) for what in OPTIONS for name in known_to_sshd(what)]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Host keys of every type, made once."""
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for kind, bits in (("rsa", "2048"), ("ecdsa-256", "256"), ("ecdsa-384", "384"), ("ecdsa-521", "521")):
        path = folder / kind
        subprocess.run(["ssh-keygen", "-q", "-t", kind.split("-")[0], "-b", bits, "-N", "", "-f", path], check=True)
        made[kind] = path
    return made


def only(what: str, name: str, keys) -> str:
    """Return the lines of a server with only this in the list, and a key of every type. AEAD would hide the MAC."""
    ciphers = "Ciphers aes256-ctr\n" if what == "mac" else ""
    return f"{ciphers}{OPTIONS[what]} {name}\n" + "\n".join(f"HostKey {path}" for path in keys.values())


def pin_of(name: str, keys, host) -> str:
    kind = {"ssh-rsa": "rsa", "rsa-sha2-256": "rsa", "rsa-sha2-512": "rsa"}.get(name)
    kind = kind or {f"ecdsa-sha2-nistp{bits}": f"ecdsa-{bits}" for bits in (256, 384, 521)}.get(name)
    return keys[kind].with_suffix(".pub").read_text() if kind else host.host_key


@pytest.mark.parametrize(("what", "name"), EACH, ids=lambda each: each)
def test_server_with_one_algorithm(tmp_path, keys, what, name):
    """Modern ones at once; old ones where the host's row says so; and the others never, as just that."""
    modern, legacy = (getattr(offer, LISTS[what]) for offer in (algorithms.ours(False), algorithms.ours(True)))
    with Sshd(tmp_path / "host", extra=only(what, name, keys)) as host:
        pinned = endpoint_of(host, host_key=pin_of(name, keys, host))
        for allowed, offer in ((False, modern), (True, legacy)):
            endpoint = dataclasses.replace(pinned, legacy=allowed)
            if name in offer:
                with connect(endpoint) as connection:
                    assert collect(connection.run("cat"), b"x" * 100_000)[0] == b"x" * 100_000
                    assert connection.legacy_in_use == ([] if name in modern else [name])
                continue
            with pytest.raises(NoCommonAlgorithm) as caught:
                connect(endpoint)
            sentence = said(caught.value)
            assert not caught.value.passing and name in sentence
            # With a key pinned, only its type is asked for.
            assert set(offer) & set(sentence.replace(",", "").replace(")", "").split())
            assert f"gap.{LISTS[what]} (" in str(caught.value) and OPTIONS[what] in next_step(caught.value)
            assert ("legacy_algorithms" in next_step(caught.value)) == (not allowed and name in legacy)


def test_offers_every_algorithm_with_legacy_last():
    theirs = paramiko.Transport
    ours, modern = algorithms.ours(True), algorithms.ours(False)
    assert set(theirs._kex_info) <= set(ours.kex) and set(theirs._cipher_info) == set(ours.ciphers)
    assert set(theirs._mac_info) == set(ours.macs) and set(theirs._compression_info) == set(ours.compression)
    assert {name for name in theirs._key_info if "cert" not in name} < set(ours.keys)
    for field in dataclasses.fields(algorithms.Offer):
        new, all_of_them = getattr(modern, field.name), getattr(ours, field.name)
        assert all_of_them[: len(new)] == new, "what is old comes after all that is not"
        assert not [name for name in new if name.endswith(("sha1", "-cbc", "md5", "sha1-96", "ssh-rsa", "md5-96"))]


def test_names_every_list_without_common_algorithm(tmp_path):
    kex, cipher, mac = "sntrup761x25519-sha512@openssh.com", "chacha20-poly1305@openssh.com", "umac-64@openssh.com"
    odd = f"KexAlgorithms {kex}\nCiphers {cipher}\nMACs {mac}"
    with Sshd(tmp_path / "host", extra=odd) as host, pytest.raises(NoCommonAlgorithm) as caught:
        connect(endpoint_of(host))
    sentence = said(caught.value)
    assert kex in sentence and cipher in sentence and mac in sentence
    for option in ("KexAlgorithms", "Ciphers", "MACs"):
        assert option in next_step(caught.value)


def test_aead_cipher_needs_no_common_mac(tmp_path):
    odd = "Ciphers aes256-gcm@openssh.com\nMACs umac-128-etm@openssh.com"
    with Sshd(tmp_path / "host", extra=odd) as host, connect(endpoint_of(host)) as connection:
        assert collect(connection.run("cat"), b"x" * 100_000)[0] == b"x" * 100_000


@pytest.mark.parametrize("pinned", ["rsa", "ed25519"])
def test_ssh_rsa_only_host_is_not_a_changed_key(tmp_path, keys, pinned):
    with Sshd(tmp_path / "host", extra=only("key-sig", "ssh-rsa", keys)) as host:
        public = keys["rsa"].with_suffix(".pub").read_text() if pinned == "rsa" else host.host_key
        with pytest.raises(NoCommonAlgorithm, match="ssh-rsa") as caught:
            connect(endpoint_of(host, host_key=public))
        assert "rsa-sha2-512 (HostKeyAlgorithms)" in next_step(caught.value) and "legacy_algorithms" in next_step(
            caught.value
        )
        with pytest.raises(NoCommonAlgorithm):
            fetch_host_key(host.address, host.port, 5)
        assert fetch_host_key(host.address, host.port, 5, legacy=True).split()[0] == "ssh-rsa"


def test_asks_for_pinned_key_type_with_legacy(tmp_path, keys):
    lines = "\n".join(["HostKeyAlgorithms +ssh-rsa", *(f"HostKey {path}" for path in keys.values())])
    with Sshd(tmp_path / "host", extra=lines) as host:
        for public in [host.host_key, *(path.with_suffix(".pub").read_text() for path in keys.values())]:
            for legacy in (False, True):
                with connect(endpoint_of(host, host_key=public, legacy=legacy)) as connection:
                    assert connection.legacy_in_use == []


def test_detects_changed_key_on_legacy_host(tmp_path, keys):
    other = make_key(tmp_path / "other", "rsa")[1]
    with Sshd(tmp_path / "host", extra=only("key-sig", "ssh-rsa", keys)) as host, pytest.raises(KeyChanged):
        connect(endpoint_of(host, host_key=other, legacy=True))


def test_host_check_recommends_legacy_algorithms(tmp_path, keys):
    with Sshd(tmp_path / "host", extra=only("mac", "hmac-sha1", keys)) as host:
        found = check(endpoint_of(host), host.root)
        assert (found.ready, found.reachable, found.legacy_needed, found.offered_key) == (False, True, True, "")
        assert "hmac-sha1" in said(found) and "legacy_algorithms" in next_step(found)
        unpinned = check(endpoint_of(host, host_key=""), host.root)
        assert "hmac-sha1" in said(unpinned) and unpinned.legacy_needed
        allowed = check(endpoint_of(host, legacy=True), host.root)
        assert (allowed.ready, allowed.legacy_needed) == (True, True)
        assert any("hmac-sha1" in each for each in warnings(allowed))
    with Sshd(tmp_path / "modern") as host:
        found = check(endpoint_of(host, legacy=True), host.root)
        assert (found.ready, found.legacy_needed) == (True, False)
        assert any("turn legacy_algorithms off" in each for each in warnings(found))


def test_operation_names_missing_algorithms_at_once(tmp_path, keys):
    with Sshd(tmp_path / "host", extra=only("kex", "diffie-hellman-group14-sha1", keys)) as host:
        site = Site(host)
        with Relay(host.address, host.port) as relay:
            outcome, _ = site.carry_out(site.host.run("install", None, "1.0"), at=relay)
            assert relay.connections == 1
        assert outcome.kind is OutcomeKind.NOT_STARTED
        assert "diffie-hellman-group14-sha1" in said(outcome) and "ecdh-sha2-nistp256" in said(outcome)
        assert "KexAlgorithms" in english(outcome.message, hint) and "legacy_algorithms" in english(
            outcome.message, hint
        )
        site.known["legacy"] = True
        outcome, _ = site.carry_out(site.host.run("install", None, "1.0"))
        assert outcome.kind is OutcomeKind.DONE


def test_sha1_login_needs_legacy_algorithms(tmp_path):
    """OpenSSH 9.2 says that it takes everything, and refuses: that looks the same as a key that is not known."""
    private, public = make_key(tmp_path / "mine", "rsa")
    with Sshd(tmp_path / "host", extra="PubkeyAcceptedAlgorithms ssh-rsa") as host:
        let_in(host, public)
        with pytest.raises(AuthRefused) as caught:
            connect(endpoint_of(host, key=private))
        assert "PubkeyAcceptedAlgorithms" in next_step(caught.value)
        with connect(endpoint_of(host, key=private, legacy=True)) as connection:
            assert collect(connection.run("echo in"))[0] == b"in\n"


# --- servers of paramiko's, for what OpenSSH cannot do ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("compression", "legacy", "common"),
    [
        ("none", False, True),
        ("zlib@openssh.com", False, True),
        ("zlib", False, False),
        ("zlib", True, True),
        ("lzma", True, False),
    ],
)
def test_connects_to_server_that_requires_compression(tmp_path, compression, legacy, common):
    private, _ = make_key(tmp_path / "mine", "ed25519")
    with Odd(compression=(compression,)) as server:
        endpoint = server.endpoint(key=private, legacy=legacy)
        if common:
            with connect(endpoint) as connection:
                assert collect(connection.run("any")) == (b"z" * 50_000, b"")
            return
        with pytest.raises(NoCommonAlgorithm, match="compression") as caught:
            connect(endpoint)
        assert compression in said(caught.value) and "none" in said(caught.value)


def test_decompression_is_bounded():
    assert BoundedDecompressor()(zlib.compress(b"x" * 1000)) == b"x" * 1000
    with pytest.raises(paramiko.SSHException, match="too large"):
        BoundedDecompressor()(zlib.compress(bytes(10 * MAX_PACKET)))
    with pytest.raises(paramiko.SSHException, match="damaged"):
        BoundedDecompressor()(b"no zlib at all")


def test_prefers_hybrid_key_exchange(tmp_path):
    private, _ = make_key(tmp_path / "mine", "ed25519")
    if "mlkem768x25519-sha256" not in algorithms.ours(False).kex:
        pytest.skip("this build of cryptography has no ML-KEM")
    both = ("ecdh-sha2-nistp256", "mlkem768x25519-sha256")
    with Odd(kex=both) as server, connect(server.endpoint(key=private)) as connection:
        assert connection._transport.agreed[0] == "mlkem768x25519-sha256"
        assert collect(connection.run("any"))[0] == b"z" * 50_000


def test_legacy_algorithms_offer_unlisted_ssh_rsa(tmp_path):
    """OpenSSH before 7.2: it takes `ssh-rsa` and does not say so."""
    private, _ = make_key(tmp_path / "mine", "rsa")
    with Odd(logins=("ssh-rsa",), says=False) as server:
        with pytest.raises(AuthRefused, match="rsa_not_accepted") as caught:
            connect(server.endpoint(key=private))
        assert not caught.value.passing
        with connect(server.endpoint(key=private, legacy=True)) as connection:
            assert collect(connection.run("any"))[0] == b"z" * 50_000


@pytest.mark.parametrize(("credential", "taken"), [("rsa", "ssh-rsa"), ("ed25519", "rsa-sha2-512")])
def test_tells_refused_signature_from_unknown_key(tmp_path, credential, taken):
    private, _ = make_key(tmp_path / "mine", credential)
    with Odd(logins=(taken,)) as server:
        with pytest.raises(NoCommonAlgorithm, match=r"gap\.logins") as caught:
            connect(server.endpoint(key=private))
        assert f"the host has {taken};" in said(caught.value) and "PubkeyAcceptedAlgorithms" in next_step(caught.value)
        assert ("legacy_algorithms" in next_step(caught.value)) == (taken == "ssh-rsa")
        if taken == "ssh-rsa":
            with connect(server.endpoint(key=private, legacy=True)) as connection:
                assert collect(connection.run("any"))[0] == b"z" * 50_000


def test_names_server_of_ssh_version_1():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            sock = listener.accept()[0]
            sock.sendall(b"SSH-1.5-1.2.27\n")
            sock.recv(100)

        threading.Thread(target=serve, daemon=True).start()
        pinned = f"ssh-rsa {paramiko.RSAKey.generate(1024).get_base64()}"
        private = paramiko.RSAKey.generate(2048)
        text = io.StringIO()
        private.write_private_key(text)
        with pytest.raises(TooOld, match="too_old") as caught:
            connect(Endpoint("127.0.0.1", listener.getsockname()[1], "deploy", pinned, key=text.getvalue()))
        assert not caught.value.passing


def test_error_omits_invalid_algorithm_names():
    """What a server says goes into errors, logs and pages."""
    sides, kinds = ("client", "server"), ("encrypt", "mac", "compress")
    lists = {f"{side}_{what}_algo_list": ["none"] for side in sides for what in kinds}
    parsed = lists | {"kex_algo_list": ["<script>", "a" * 65, "x\n", "fine"], "server_key_algo_list": [""] * 3}
    found = algorithms.gaps(algorithms.theirs(parsed), algorithms.ours(False))
    sentences = "; ".join(english(gap.message) for gap in found)
    assert (
        "fine" in sentences
        and "script" not in sentences
        and "aaa" not in sentences
        and "the host has none" in sentences
    )
    many = algorithms.Gap("kex", tuple(f"k{i}" for i in range(40)), ("x",))
    assert "k15, +24;" in english(many.message) and "k16" not in english(many.message)
