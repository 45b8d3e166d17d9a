"""A host's key in every form that people paste."""

import base64
import hashlib
import hmac
import subprocess

import pytest

from asset import host_keys, pasted_keys, validation

pytestmark = pytest.mark.found("keys")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """{type: (public key's line, what ssh-keygen -lf prints, -E md5)}."""
    folder = tmp_path_factory.mktemp("keys")
    found = {}
    for kind, bits in (("ed25519", "256"), ("ecdsa", "384"), ("rsa", "2048")):
        path = folder / kind
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-C", "root@web 1 (old)", "-f", path], check=True
        )
        public = path.with_suffix(".pub")
        parsed = [
            subprocess.run(["ssh-keygen", *more, "-lf", public], check=True, capture_output=True, text=True).stdout
            for more in ([], ["-E", "md5"])
        ]
        rfc = subprocess.run(["ssh-keygen", "-e", "-f", public], check=True, capture_output=True, text=True).stdout
        found[kind] = (public.read_text(), *parsed, rfc, path.read_text())
    return found


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_reads_output_of_ssh_keygen(made, kind):
    public, line, *_ = made[kind]
    found = pasted_keys.read(line)
    assert found == pasted_keys.Pasted("", (host_keys.fingerprint(public),), (kind.upper(),))
    bare = line.split()[1]
    for text in (bare, bare.removeprefix("SHA256:"), f" {bare}=\r\n"):
        assert pasted_keys.read(text) == pasted_keys.Pasted("", (host_keys.fingerprint(public),))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_reads_keys_and_known_hosts(made, kind):
    public = made[kind][0]
    plain = host_keys.parse(public)
    salt = b"s" * 20
    digest = hmac.new(salt, b"web1", hashlib.sha1).digest()
    hashed = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    for text in (
        public,
        f"web1,10.0.0.1 {public}",
        f"[web1]:2222 {plain}",
        f"{hashed} {plain}",
        f"\r\n# web1:22 SSH-2.0-OpenSSH_9.2p1\r\nweb1 {plain}\r\n",
    ):
        assert pasted_keys.read(text, ("web1", "10.0.0.1")).key == plain
        assert validation.host_key(text) == plain


def test_prefers_lines_of_the_host_and_the_best_key(made):
    scan = "\n".join(f"web1 {made[kind][0]}" for kind in ("rsa", "ecdsa", "ed25519"))
    assert pasted_keys.read(scan, ("web1",)).key == host_keys.parse(made["ed25519"][0])
    other = f"db1 {made['ed25519'][0]}\nweb1 {made['rsa'][0]}"
    assert pasted_keys.read(other, ("WEB1", "")).key == host_keys.parse(made["rsa"][0])
    assert pasted_keys.read(other, ("elsewhere",)).key == host_keys.parse(made["ed25519"][0])
    prints = "\n".join(made[kind][1] for kind in made)
    assert set(pasted_keys.read(prints).fingerprints) == {host_keys.fingerprint(made[kind][0]) for kind in made}


def test_rejects_other_text_without_repeating_it(made):
    public, _line, md5, rfc, private = made["ed25519"]
    for text, word in (
        ("", "known_hosts"),
        ("nonsense", "known_hosts"),
        ("ssh-ed25519 AAAA", "another type"),
        (md5, "MD5"),
        (rfc, "RFC 4716"),
        (private, "must never leave its host"),
        (f"@cert-authority *.example.org {public}", "own key"),
        (f"@revoked * {public}", "own key"),
        ("x" * 20_000, "at most"),
    ):
        with pytest.raises(ValueError) as refused:
            pasted_keys.read(text)
        assert word in str(refused.value)
        assert not any(len(part) > 20 and part in str(refused.value) for part in text.split())


@pytest.mark.parametrize("name", ["web1", "web1.example.org", "Web1.Example.Org", "a-b_c.internal", "localhost", "x1"])
def test_a_name_is_an_address(name):
    assert validation.FIELDS["ip"](name) == name.lower()


WRONG = ["300.1.1.1", "1.2.3", "0x7f.1", "127.1", "1234", "a..b", "-a", "a b", "a;b", "", "::g", "x.0x7f", "224.0.0.1"]


@pytest.mark.parametrize("name", [*WRONG, "a" * 254])
def test_rejects_other_text_as_address(name):
    with pytest.raises(ValueError):
        validation.FIELDS["ip"](name)
    with pytest.raises(ValueError):
        validation.FIELDS["package_address"]("web1")
