"""Private keys as people paste them, opened once a process."""

import hashlib
import io
from collections.abc import Callable

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from ..endpoint import Endpoint, reveal
from ..errors import BadCredential
from . import key_text
from .algorithms import OldRSAKey


def key_of(endpoint: Endpoint) -> paramiko.PKey | None:
    """Return the private key to log in with; None where there is a password instead. Raise BadCredential."""
    if not endpoint.key:
        if not endpoint.password:
            raise BadCredential("empty_credential")
        return None
    text, passphrase = reveal(endpoint.key), reveal(endpoint.passphrase)
    digest = hashlib.sha256(f"{len(text)} {text}{passphrase}".encode("utf-8", "replace")).digest()
    key = _keys.get(digest)
    if key is None:
        key = _parse(text, passphrase)
        if len(_keys) >= 256:
            _keys.clear()
        _keys[digest] = key
    return key


def check_key(text: str, passphrase: str = "") -> None:
    """Raise BadCredential where a private key cannot be read with that passphrase. For forms, before a key is kept."""
    _parse(text, passphrase)


def open_key(text: str) -> str:
    """Return the block of a private key that needs no passphrase, as programs read it from a file, out of what was
    pasted. Raise BadCredential where there is none, or where it is locked."""
    _parse(text, "")
    return key_text.block(text)[1]


def _parse(text: str, passphrase: str) -> paramiko.PKey:
    label, pem = key_text.block(text)
    load = load_ssh_private_key if label == "OPENSSH PRIVATE KEY" else load_pem_private_key
    kind = key_text.kind_in(pem)
    if kind == "ssh-dss" or kind.startswith("sk-"):
        raise key_text.refusal(kind)
    data, secret = pem.encode("ascii", "replace"), passphrase.encode("utf-8", "replace") or None
    try:
        key = _load(load, data, secret)
    except BadCredential:
        raise
    except UnsupportedAlgorithm:
        if kind:
            raise key_text.refusal(kind) from None
        raise BadCredential("unsupported_key", "rewrite_key") from None
    except Exception:  # noqa: BLE001 - for a text that is no key the parsers raise anything
        raise BadCredential("unreadable_key", about="passphrase" if passphrase else "secret") from None
    return _for_paramiko(key)


def _load(load: Callable[[bytes, bytes | None], object], data: bytes, passphrase: bytes | None) -> object:
    try:
        return load(data, passphrase)
    except TypeError:  # a passphrase is missing, or there is one for a key that has none: ssh-keygen does not mind
        if passphrase is None:
            raise BadCredential("passphrase_missing") from None
        return load(data, None)


def _for_paramiko(key: object) -> paramiko.PKey:
    if isinstance(key, rsa.RSAPrivateKey):
        return OldRSAKey(key=key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if key.curve.name not in ("secp256r1", "secp384r1", "secp521r1"):
            raise key_text.refusal(key.curve.name)
        return paramiko.ECDSAKey(vals=(key, key.public_key()))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        return paramiko.Ed25519Key.from_private_key(io.StringIO(text))
    raise key_text.refusal(type(key).__name__.strip("_").removesuffix("PrivateKey"))


# Parsed once a process, found by digest: opening a key with a passphrase costs most of a second, by design.
_keys: dict[bytes, paramiko.PKey] = {}
