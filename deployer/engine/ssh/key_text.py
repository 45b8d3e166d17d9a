"""A private key in the text that people paste: found in it, made regular, or named for what it is instead. Pure."""

import base64
import binascii
import re

from ..errors import BadCredential

_LABEL = re.compile(r"(?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY\Z")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,40}:")

# What may be pasted instead, the first that fits: a pattern, the reason (what it is), and the remedy.
_OTHERS = (
    (
        re.compile(r"PuTTY-User-Key-File-\d"),
        "putty_key",
        "convert_putty",
    ),
    (
        re.compile(r"-cert-v01@openssh\.com AAAA"),
        "certificate",
        "without_cert_pub",
    ),
    (
        re.compile(r"(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp\d{3}|sk-[a-z0-9-]{1,40}@openssh\.com) AAAA"),
        "public_key",
        "without_pub",
    ),
    (
        re.compile(r"-- BEGIN SSH2 PUBLIC KEY"),
        "public_key_rfc4716",
        "convert_rfc4716",
    ),
    (
        re.compile(r"-- BEGIN SSH2 ENCRYPTED PRIVATE KEY"),
        "ssh2_key",
        "convert_ssh2",
    ),
    (
        re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PUBLIC KEY-----"),
        "public_key_pem",
        "its_private_key",
    ),
    (
        re.compile(r"-----BEGIN (?:TRUSTED )?CERTIFICATE(?: REQUEST)?-----"),
        "x509_certificate",
        "its_private_key",
    ),
    (re.compile(r"SSH PRIVATE KEY FILE FORMAT 1\.1"), "ssh1_key", "new_key"),
    (re.compile(r"-----BEGIN PGP "), "pgp_key", "new_key"),
    (re.compile(r'"kty"\s*:'), "jwk", "new_key"),
    (
        re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY-----"),
        "no_end_line",
        "whole_file",
    ),
    (
        re.compile(r"-----END (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY-----"),
        "no_begin_line",
        "whole_file",
    ),
    (re.compile(r"\A\s*(?:SHA256:|MD5:|\d+ SHA256:)"), "a_fingerprint", "key_itself"),
    (
        re.compile(r"\A\s*(?:b3BlbnNzaC1rZXk|MII|MHc|MIG|MC4)"),
        "middle_of_key",
        "begin_and_end",
    ),
)


def block(text: str) -> tuple[str, str]:
    """Return the label (`OPENSSH PRIVATE KEY`, `RSA PRIVATE KEY` …) and the block of the first private key in the text:
    with even lines, without what stands around it. Raise BadCredential, which names what was found instead."""
    text = text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")
    if "\\n" in text and text.strip().count("\n") < 2:  # from a JSON or .env file
        text = text.replace("\\r", "").replace("\\n", "\n")
    label, inside = _first(text)
    if not label:
        raise _named(text)
    headers, body = [], ""
    for line in map(str.strip, inside.split("\n")):
        if _HEADER.match(line) and not body:
            headers.append(line)
        else:
            body += "".join(line.split())
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    head = [*headers, ""] if headers else []
    return label, "\n".join([f"-----BEGIN {label}-----", *head, *lines, f"-----END {label}-----", ""])


def _first(text: str) -> tuple[str, str]:
    """Return the label of the first whole block of a private key, and what is in it; empty where there is none."""
    for part in text.split("-----BEGIN ")[1:]:
        label, begun, rest = part.partition("-----")
        inside, ended, _ = rest.partition(f"-----END {label}-----")
        if begun and ended and _LABEL.match(label):
            return label, inside
    return "", ""


def _named(text: str) -> BadCredential:
    for pattern, what, remedy in _OTHERS:
        if pattern.search(text):
            return BadCredential(what, remedy)
    return BadCredential("no_private_key")


def kind_in(pem: str) -> str:
    """Return the type of key in a block of OpenSSH's form, which it holds in clear; empty where it cannot be read."""
    try:
        data = base64.b64decode("".join(pem.split("\n")[1:-2]), validate=True)
        if not data.startswith(b"openssh-key-v1\0"):
            return ""
        at = len(b"openssh-key-v1\0")
        for _ in range(3):  # cipher, its key's derivation, and options of that
            at = _after(data, at)
        at += 8  # how many keys, and how long the first public one is
        return data[at + 4 : _after(data, at)].decode("ascii")
    except (binascii.Error, UnicodeDecodeError, IndexError):
        return ""


def _after(data: bytes, at: int) -> int:
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")
    if end > len(data):
        raise IndexError
    return end


def refusal(kind: str) -> BadCredential:
    """Make the error for a key that can be read, and that is of no use here."""
    if kind.startswith("sk-"):
        return BadCredential("hardware_key", "new_key")
    if kind in ("ssh-dss", "DSA"):
        return BadCredential("dsa_key", "new_key")
    return BadCredential("unused_key_type", "new_key", kind=kind)
