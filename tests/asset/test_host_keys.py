"""Host keys as people paste them."""

import base64
import struct
import subprocess

import pytest

from asset import host_keys


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """{kind: (public key's text, what ssh-keygen calls its fingerprint)}"""
    folder, found = tmp_path_factory.mktemp("keys"), {}
    for kind, size in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "521"), ("rsa", "2048")]:
        path = folder / f"{kind}{size}"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-b", size, "-N", "", "-C", "root@host", "-f", path], check=True
        )
        public = path.with_suffix(".pub")
        listed = subprocess.run(["ssh-keygen", "-lf", public], check=True, capture_output=True, text=True).stdout
        found[path.name] = (public.read_text(), listed.split()[1])
    return found


def test_normalizes_a_key(made):
    for text, _ in made.values():
        regular = host_keys.parse("  " + text.replace(" ", "\t", 1) + "\n")
        assert regular == " ".join(text.split()[:2])
        assert host_keys.parse(regular) == regular


def test_fingerprint_matches_ssh_keygen(made):
    for text, fingerprint in made.values():
        assert host_keys.fingerprint(host_keys.parse(text)) == fingerprint


def test_ignores_prefix_and_padding_of_fingerprints(made):
    (_, one), (_, other) = made["ed25519256"], made["rsa2048"]
    assert host_keys.same_fingerprint(one.removeprefix("SHA256:"), one)
    assert host_keys.same_fingerprint(f" {one}= \n", one)
    assert not host_keys.same_fingerprint(other, one)
    assert not host_keys.same_fingerprint("", "")
    assert not host_keys.same_fingerprint("SHA256:", "SHA256:")


def test_rejects_an_invalid_key(made):
    good = made["ed25519256"][0].split()[1]
    other = made["rsa2048"][0].split()[1]
    short = base64.b64encode(base64.b64decode(good)[:-3]).decode()
    for text in [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!",
        "ssh-ed25519 Ärger",
        f"ssh-rsa {good}",
        f"ssh-ed25519 {other}",
        f"ssh-ed25519 {short}",
        f"ssh-dss {good}",
        good,
        "ssh-ed25519 " + "A" * 5000,
        "ssh-ed25519 " + base64.b64encode(struct.pack(">I", 11) + b"ssh-ed25519").decode(),
    ]:
        with pytest.raises(ValueError) as refused:
            host_keys.parse(text)
        assert str(refused.value)
        assert host_keys.shown_fingerprint("nonsense") == ""
