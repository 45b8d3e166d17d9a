"""Servers that speak other algorithms: spoken to where paramiko can, told with both offers where not, never retried."""
import dataclasses
import socket
import subprocess
import threading

import paramiko
import pytest

from deployer.engine.conduct import carry_out
from deployer.engine.errors import AuthRefused, KeyChanged, NoCommonAlgorithm, TooOld
from deployer.engine.ladder import OutcomeKind
from deployer.engine.probe import probe
from deployer.engine.ssh import Endpoint, algorithms, connect, fetch_host_key
from tests.lab.sshd import Sshd

from .wire import collect, endpoint_of, let_in, make_key

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
    """The lines of a server that has nothing else in this list, and a key of every type. AEAD would hide the MAC."""
    ciphers = "Ciphers aes256-ctr\n" if what == "mac" else ""
    return f"{ciphers}{OPTIONS[what]} {name}\n" + "\n".join(f"HostKey {path}" for path in keys.values())


def pin_of(name: str, keys, host) -> str:
    kind = {"ssh-rsa": "rsa", "rsa-sha2-256": "rsa", "rsa-sha2-512": "rsa"}.get(name)
    kind = kind or {f"ecdsa-sha2-nistp{bits}": f"ecdsa-{bits}" for bits in (256, 384, 521)}.get(name)
    return keys[kind].with_suffix(".pub").read_text() if kind else host.host_key


@pytest.mark.parametrize(("what", "name"), EACH, ids=lambda each: each)
def test_a_server_that_has_one_algorithm_only_is_spoken_to_or_told_with_both_offers(tmp_path, keys, what, name):
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
            told = str(caught.value)
            assert not caught.value.passing and name in told and offer[0] in told or what == "key-sig"
            assert algorithms.WORDS[LISTS[what]][0] in told and OPTIONS[what] in caught.value.hint
            assert ("legacy_algorithms" in caught.value.hint) == (not allowed and name in legacy)
    assert "changed" not in told if name not in modern else True


def test_every_algorithm_that_paramiko_knows_is_offered_and_the_old_ones_last():
    theirs = paramiko.Transport
    ours, modern = algorithms.ours(True), algorithms.ours(False)
    assert set(theirs._kex_info) <= set(ours.kex) and set(theirs._cipher_info) == set(ours.ciphers)
    assert set(theirs._mac_info) == set(ours.macs) and set(theirs._compression_info) == set(ours.compression)
    assert {name for name in theirs._key_info if "cert" not in name} < set(ours.keys)
    for field in dataclasses.fields(algorithms.Offer):
        new, all_of_them = getattr(modern, field.name), getattr(ours, field.name)
        assert all_of_them[: len(new)] == new, "what is old comes after all that is not"
        assert not [name for name in new if name.endswith(("sha1", "-cbc", "md5", "sha1-96", "ssh-rsa", "md5-96"))]
