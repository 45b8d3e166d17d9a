"""Private keys as people paste them, opened once a process."""

import hashlib
import io

import paramiko

from ..endpoint import Endpoint, reveal
from ..errors import BadCredential


def key_of(endpoint: Endpoint) -> paramiko.PKey | None:
    """The private key to log in with; None where there is a password instead. Raises BadCredential."""
    if not endpoint.key:
        if not endpoint.password:
            raise BadCredential(reason="it has neither a private key nor a password")
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
    """Raises BadCredential where a private key cannot be read with that passphrase. For forms, before a key is kept."""
    _parse(text, passphrase)


def _parse(text: str, passphrase: str) -> paramiko.PKey:
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text.strip() + "\n"), passphrase or None)
        except paramiko.PasswordRequiredException:
            raise BadCredential(reason="the private key has a passphrase, which is missing") from None
        except Exception:  # noqa: BLE001, S112 - for a text that is no key the parsers raise anything, asserts included
            continue
    raise BadCredential(reason="the private key cannot be read, or its passphrase is wrong")


# Parsed once a process, found by digest: opening a key with a passphrase costs most of a second, by design.
_keys: dict[bytes, paramiko.PKey] = {}
