"""Public host keys: parsed, normalized, and compared by fingerprint. Pure."""

import base64
import hmac

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from deployer.engine import endpoint
from messages.invalid import InvalidValue

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
MAX_LENGTH = 4096  # characters; an RSA key of 16,384 bits takes about 2,750


def parse(text: str) -> str:
    """Return `ssh-ed25519 AAAA… comment` as `ssh-ed25519 AAAA…`. Raise InvalidValue for anything but a public key."""
    words = text.split()
    if len(text) > MAX_LENGTH or len(words) < 2:
        raise InvalidValue("host_key_syntax")
    kind = words[0]
    if kind not in KINDS:
        raise InvalidValue("host_key_kind", choices=list(KINDS))
    try:
        # SSH compares the blob alone, so a type in front of it that differs from the blob's own must be refused.
        key = f"{kind} {base64.b64encode(endpoint.host_key_blob(text)).decode()}"
        load_ssh_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidValue("host_key_damaged") from error
    return key


def fingerprint(key: str) -> str:
    """Return `SHA256:…` of a key's text, as ssh-keygen -l prints it; "" for no key."""
    return endpoint.fingerprint(key) if key else ""


def shown_fingerprint(key: str) -> str:
    """Return the fingerprint, or "" for a key that cannot be read: a host may offer anything."""
    try:
        return fingerprint(key)
    except ValueError:
        return ""


def same_fingerprint(one: str, other: str) -> bool:
    """Return whether two fingerprints are equal; the padding, or `SHA256:` in front, may be missing."""

    def bare(value: str) -> bytes:
        return value.strip().removeprefix("SHA256:").rstrip("=").encode()

    return bool(bare(one)) and hmac.compare_digest(bare(one), bare(other))
