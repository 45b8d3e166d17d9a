"""Public host keys as people paste them: read, made regular, and compared by fingerprint. Pure."""

import base64
import hmac

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from deployer.engine import endpoint

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
LONGEST = 4096  # characters; an RSA key of 16,384 bits takes about 2,750


def parse(text: str) -> str:
    """`ssh-ed25519 AAAA… comment` as `ssh-ed25519 AAAA…`. ValueError, whose text is the reason, where it is no key."""
    words = text.split()
    if len(text) > LONGEST or len(words) < 2:
        raise ValueError("give the kind and the key, such as ssh-ed25519 AAAA…")
    kind = words[0]
    if kind not in KINDS:
        raise ValueError(f"the kind of key must be one of {', '.join(KINDS)}")
    # What SSH compares is the blob; a kind in front of it that says something else would pin what nobody reads.
    regular = f"{kind} {base64.b64encode(endpoint.host_key_blob(text)).decode()}"
    try:
        load_ssh_public_key(regular.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("the key cannot be read: it is cut short or damaged") from error
    return regular


def fingerprint(key: str) -> str:
    """`SHA256:…` of a key's text, in the form that ssh-keygen -l prints; empty for no key."""
    return endpoint.fingerprint(key) if key else ""


def shown_fingerprint(key: str) -> str:
    """The same, and empty for what cannot be read: a host may offer anything."""
    try:
        return fingerprint(key)
    except ValueError:
        return ""


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints name the same key; the padding, or `SHA256:` in front, may be missing."""

    def bare(value: str) -> bytes:
        return value.strip().removeprefix("SHA256:").rstrip("=").encode()

    return bool(bare(one)) and hmac.compare_digest(bare(one), bare(other))
