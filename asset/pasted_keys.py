"""A host key as people paste it: the key, a line of known_hosts or of ssh-keyscan, or the output of ssh-keygen -lf.

Pure. Raises InvalidValue; a reason never repeats the text.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass

from messages.invalid import InvalidValue

from . import host_keys

MAX_LENGTH = 16_384  # characters: ssh-keyscan prints a line for each of a host's keys
MAX_LINES = 64
_SHA256 = re.compile(r"(?:SHA256:)?([A-Za-z0-9+/]{43})=?\Z")
_MD5 = re.compile(r"(?:MD5:)?(?:[0-9A-Fa-f]{2}:){15}[0-9A-Fa-f]{2}\Z")
_KIND = re.compile(r"\((ED25519|ECDSA|RSA)(?:-CERT)?\)\Z")
# The key algorithms to request from a host, where a line names the type of its key.
ALGORITHMS = {
    "ED25519": ("ssh-ed25519",),
    "ECDSA": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "RSA": ("rsa-sha2-512", "rsa-sha2-256"),
}


@dataclass(frozen=True, slots=True)
class Pasted:
    """`key`: the preferred one of the whole keys, normalized; "" where the text has fingerprints only.
    `fingerprints`: SHA256:… of every key and fingerprint in the text. `kinds`: names of ALGORITHMS, where known."""

    key: str
    fingerprints: tuple[str, ...]
    kinds: tuple[str, ...] = ()


def read(text: str, names: Collection[str] = ()) -> Pasted:
    """Parse what was pasted. `names`: the host's name and address, to choose its lines of known_hosts; where no line
    is about them, all lines count."""
    if len(text) > MAX_LENGTH:
        raise InvalidValue("host_key_too_long", max=MAX_LENGTH)
    lines = [line for raw in re.split(r"\r\n?|\n", text) if (line := raw.strip()) and not line.startswith("#")]
    if not lines or len(lines) > MAX_LINES:
        raise InvalidValue("host_key_syntax")
    pattern_keys: list[tuple[str, str]] = []  # patterns of known_hosts, and the key
    fingerprint_kinds: list[tuple[str, str]] = []
    for line in lines:
        if (fingerprint := _fingerprint(line)) is not None:
            fingerprint_kinds.append(fingerprint)
        else:
            pattern_keys.append(_key(line))
    keys = [key for patterns, key in pattern_keys if _is_about(patterns, names)] or [key for _, key in pattern_keys]
    keys.sort(key=lambda key: host_keys.KINDS.index(key.split()[0]))
    fingerprints = [host_keys.fingerprint(key) for key in keys] + [fingerprint for fingerprint, _ in fingerprint_kinds]
    kinds = tuple(dict.fromkeys(kind for _, kind in fingerprint_kinds if kind))
    return Pasted(keys[0] if keys else "", tuple(dict.fromkeys(fingerprints)), kinds)


def _fingerprint(line: str) -> tuple[str, str] | None:
    """Return the fingerprint and type in a line of ssh-keygen -lf, or in a bare fingerprint; None for other lines."""
    words = line.split()
    bare = words[1:2] if words[0].isdigit() else words[:1] if len(words) == 1 else []
    for word in bare or [word for word in words if word.startswith("SHA256:")]:
        if _MD5.match(word):
            raise InvalidValue("host_key_md5")
        if match := _SHA256.match(word):
            kind = _KIND.search(line)
            return f"SHA256:{match[1]}", kind[1] if kind else ""
    return None


def _key(line: str) -> tuple[str, str]:
    """Return the host patterns ("" where there are none) and the key in a line."""
    words = line.split()
    if "PRIVATE KEY" in line:
        raise InvalidValue("host_key_private")
    if "SSH2 PUBLIC KEY" in line:
        raise InvalidValue("host_key_rfc4716")
    if words[0].startswith("@"):
        raise InvalidValue("host_key_marker", marker=words[0][:20])
    if len(words) > 2 and words[0] not in host_keys.KINDS and words[1] in host_keys.KINDS:
        return words[0], host_keys.parse(" ".join(words[1:3]))
    if len(words) < 2:
        raise InvalidValue("host_key_syntax")
    return "", host_keys.parse(line)


def _is_about(patterns: str, names: Collection[str]) -> bool:
    """Return whether a line's hosts, plain or hashed, are among the names."""
    if not patterns:
        return True
    bare = {name.casefold() for name in names if name}
    if not patterns.startswith("|1|"):
        plain = (re.sub(r"\A\[(.*)\](?::\d+)?\Z", r"\1", pattern).casefold() for pattern in patterns.split(","))
        return any(pattern in bare for pattern in plain)
    try:
        _empty, _one, salt, digest = patterns.split("|")
        secret, wanted = base64.b64decode(salt), base64.b64decode(digest)
    except ValueError:
        return False
    return any(hmac.compare_digest(hmac.new(secret, name.encode(), hashlib.sha1).digest(), wanted) for name in bare)
