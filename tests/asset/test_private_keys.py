"""Private keys made by the real ssh-keygen and openssl: accepted, or refused with the command that converts them."""

import base64
import struct
import subprocess

import paramiko
import pytest

from access.callers import Caller
from access.problems import Problem
from asset import credentials
from deployer.engine.errors import BadCredential
from deployer.engine.ssh import Endpoint
from deployer.engine.ssh.keys import check_key, key_of
from tests.engine.words import next_step, said

pytestmark = pytest.mark.found("keys")

WHO = Caller(name="ann", scopes=frozenset({"admin"}))
PASSPHRASE = "correct horse"
KINDS = {
    "rsa": ["-b", "2048"],
    "ecdsa-256": ["-b", "256"],
    "ecdsa-384": ["-b", "384"],
    "ecdsa-521": ["-b", "521"],
    "ed25519": [],
}


def run(*argv, **more) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_form(folder, kind: str, form: str, locked: bool) -> tuple[str, str]:
    """Return the text of a new private key, and its public half as ssh-keygen prints it."""
    secret, path = PASSPHRASE if locked else "", folder / f"{kind}-{form}-{locked}"
    form_of_ssh = {"OpenSSH": [], "PEM": ["-m", "PEM"], "PKCS8": ["-m", "PKCS8"]}.get(form, [])
    if form == "openssl":
        _by_openssl(path, kind, secret)
        return path.read_text(), public_of(path, secret) if kind != "ed25519" else ""
    run("ssh-keygen", "-q", "-t", kind.split("-")[0], *KINDS.get(kind, []), *form_of_ssh, "-N", secret, "-f", path)
    return path.read_text(), path.with_name(path.name + ".pub").read_text()


def _by_openssl(path, kind: str, secret: str) -> None:
    how = {
        "rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "ed25519": ["ED25519"],
        **{f"ecdsa-{bits}": ["EC", "-pkeyopt", f"ec_paramgen_curve:P-{bits}"] for bits in (256, 384, 521)},
    }[kind]
    lock = ["-aes256", "-pass", f"pass:{secret}"] if secret else []
    run("openssl", "genpkey", "-algorithm", *how, "-out", path, *lock)
    path.chmod(0o600)


def public_of(path, secret: str = "") -> str:
    return run("ssh-keygen", "-y", "-P", secret, "-f", path)


def opened(text: str, secret: str = "") -> paramiko.PKey:
    return key_of(Endpoint("127.0.0.1", key=text, passphrase=secret))


@pytest.fixture
def folder(tmp_path):
    return tmp_path


PASTED = {
    "as it is": lambda text: text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "old Mac": lambda text: text.replace("\n", "\r"),
    "a BOM": lambda text: "\ufeff" + text,
    "text before it": lambda text: "Bag Attributes\n    friendlyName: deploy\nKey Attributes: <No Attributes>\n" + text,
    "text around it": lambda text: f"here is the key:\n\n{text}\nplease keep it\n",
    "blanks at the ends of lines": lambda text: "".join(f"{line}  \t\n" for line in text.splitlines()),
    "indented": lambda text: "".join(f"    {line}\n" for line in text.splitlines()),
    "no newline at the end": str.strip,
    "blank lines before it": lambda text: "\n\n  \n" + text,
    "in one line of a .env file": lambda text: text.replace("\n", "\\n"),
}


@pytest.mark.parametrize("locked", [False, True], ids=["open", "locked"])
@pytest.mark.parametrize("form", ["OpenSSH", "PEM", "PKCS8", "openssl"])
@pytest.mark.parametrize("kind", KINDS)
def test_reads_every_key_of_ssh_keygen(folder, kind, form, locked):
    text, public = in_form(folder, kind, form, locked)
    secret = PASSPHRASE if locked else ""
    for how, change in PASTED.items():
        key = opened(change(text), secret)
        assert key.can_sign(), how
        if public:
            assert f"{key.get_name()} {key.get_base64()}" == " ".join(public.split()[:2]), how
        signed = paramiko.Message(key.sign_ssh_data(b"data").asbytes())
        assert type(key)(data=key.asbytes()).verify_ssh_sig(b"data", signed), how
    if locked:
        for wrong, said in (("", "passphrase_missing"), ("wrong", "unreadable_key")):
            with pytest.raises(BadCredential, match=said):
                check_key(text, wrong)
    else:
        check_key(text, "one that it does not need")


def test_reads_what_ssh_keygen_reads(folder):
    """Whatever ssh-keygen -y takes is taken: the real one decides."""
    text, public = in_form(folder, "rsa", "PKCS8", True)
    for number, (how, change) in enumerate(PASTED.items()):
        path = folder / f"pasted-{number}"
        path.write_text(change(text), newline="")
        path.chmod(0o600)
        read = subprocess.run(["ssh-keygen", "-y", "-P", PASSPHRASE, "-f", path], capture_output=True, text=True)
        if read.returncode == 0:
            assert opened(change(text), PASSPHRASE).get_base64() == read.stdout.split()[1] == public.split()[1], how


def test_skips_parameters_before_a_key(folder):
    path = folder / "with-parameters"
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", path)
    assert "BEGIN EC PARAMETERS" in path.read_text()
    path.chmod(0o600)
    assert opened(path.read_text()).get_base64() == public_of(path).split()[1]


def test_opens_old_pem_ciphers(folder):
    path = folder / "des"
    run("openssl", "genrsa", "-traditional", "-des3", "-passout", f"pass:{PASSPHRASE}", "-out", path, "2048")
    assert "DEK-Info: DES-EDE3-CBC" in path.read_text()
    path.chmod(0o600)
    assert opened(path.read_text(), PASSPHRASE).get_base64() == public_of(path, PASSPHRASE).split()[1]


PPK = """PuTTY-User-Key-File-3: ssh-ed25519
Encryption: none
Comment: ed25519-key-20240101
Public-Lines: 2
AAAAC3NzaC1lZDI1NTE5AAAAIGJ5
"""
SSH2 = "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAA\n---- END SSH2 ENCRYPTED PRIVATE KEY ----\n"


def others(folder):
    """Return what may be pasted instead → words of the reason, words of the next step."""
    text, public = in_form(folder, "ed25519", "OpenSSH", False)
    path = folder / "ed25519-OpenSSH-False"
    run("ssh-keygen", "-q", "-s", path, "-I", "me", "-n", "deploy", path.with_name(path.name + ".pub"))
    rfc4716 = run("ssh-keygen", "-e", "-m", "RFC4716", "-f", path)
    pem_public = run("openssl", "pkey", "-pubout", input=in_form(folder, "rsa", "PKCS8", False)[0])
    return {
        PPK: ("PuTTY", "puttygen KEY.ppk -O private-openssh -o KEY"),
        SSH2: ("ssh.com", "ssh-keygen -i -f KEY"),
        rfc4716: ("public key (RFC 4716)", "ssh-keygen -i -f KEY"),
        public: ("public key", "without .pub"),
        f"host.example.net,10.0.0.1 {public}": ("public key", "without .pub"),
        path.with_name(path.name + "-cert.pub").read_text(): ("certificate", "without -cert.pub"),
        pem_public: ("public key (PEM)", "private key"),
        "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n": ("X.509", "private key"),
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQ\n-----END PGP PRIVATE KEY BLOCK-----": ("PGP", "ssh-keygen -t"),
        "SSH PRIVATE KEY FILE FORMAT 1.1\n\x01": ("version 1", "ssh-keygen -t ed25519"),
        '{"kty": "RSA", "d": "x"}': ("JSON Web Key", "ssh-keygen -t ed25519"),
        text[:120]: ("cut short", "whole file"),
        text[60:]: ("cut short", "whole file"),
        "".join(text.splitlines()[1:-1]): ("the middle of a private key", "BEGIN and END"),
        run("ssh-keygen", "-lf", path): ("a fingerprint", "private key itself"),
        "hunter2": ("not a private key", "OpenSSH, PEM or PKCS#8"),
    }


def test_names_other_pasted_text(folder):
    for text, (what, remedy) in others(folder).items():
        with pytest.raises(BadCredential) as caught:
            check_key(text)
        assert what in said(caught.value) and remedy in next_step(caught.value), (text[:60], said(caught.value))


def test_names_unusable_key_types(folder):
    run("openssl", "genpkey", "-algorithm", "ED448", "-out", folder / "ed448")
    run("openssl", "ecparam", "-name", "secp256k1", "-genkey", "-noout", "-out", folder / "k1")
    for form in ("OpenSSH", "PEM"):
        text, _ = in_form(folder, "dsa", form, False)
        with pytest.raises(BadCredential, match="dsa_key") as caught:
            check_key(text)
        assert "ssh-keygen -t ed25519" in next_step(caught.value)
    for name, kind in (("ed448", "Ed448"), ("k1", "secp256k1")):
        with pytest.raises(BadCredential, match=kind):
            check_key((folder / name).read_text())


def test_rejects_hardware_token_handles(folder):
    """Made by hand, as no hardware token is here. The public half in the file says what it is."""

    def text(value: bytes) -> bytes:
        return struct.pack(">I", len(value)) + value

    public = text(b"sk-ssh-ed25519@openssh.com") + text(bytes(32)) + text(b"ssh:")
    data = b"openssh-key-v1\0" + text(b"none") * 2 + text(b"") + struct.pack(">I", 1) + text(public) + text(bytes(64))
    body = base64.b64encode(data).decode()
    pem = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"
    with pytest.raises(BadCredential, match="hardware_key"):
        check_key(pem)


@pytest.mark.django_db
def test_no_reason_repeats_a_secret(folder):
    text, _ = in_form(folder, "rsa", "PKCS8", True)
    pasted = "\ufeffKey:\r\n" + text
    made = credentials.create(WHO, {"name": "pkcs8", "secret": pasted, "passphrase": PASSPHRASE})
    assert opened(made.secret, made.passphrase).can_sign()
    with pytest.raises(Problem) as caught:
        credentials.create(WHO, {"name": "ppk", "secret": PPK})
    assert "puttygen" in caught.value.detail and "AAAAC3" not in caught.value.detail
    assert caught.value.errors[0]["pointer"] == "/secret"
