"""What people paste as a host's key: the key, a line of known_hosts or of ssh-keyscan, or what ssh-keygen -lf prints.

Pure: text goes in, keys and fingerprints come out, or the reason why not, which never repeats the text.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass

from . import host_keys

LONGEST = 16_384  # characters: ssh-keyscan prints a line for each of a host's keys
MOST_LINES = 64
_SHA256 = re.compile(r"(?:SHA256:)?([A-Za-z0-9+/]{43})=?\Z")
_MD5 = re.compile(r"(?:MD5:)?(?:[0-9A-Fa-f]{2}:){15}[0-9A-Fa-f]{2}\Z")
_KIND = re.compile(r"\((ED25519|ECDSA|RSA)(?:-CERT)?\)\Z")
# The key algorithms to ask a host for, where a line says of which kind its fingerprint is.
ALGORITHMS = {
    "ED25519": ("ssh-ed25519",),
    "ECDSA": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "RSA": ("rsa-sha2-512", "rsa-sha2-256"),
}
TAKEN = "give a key (ssh-ed25519 AAAA…), a line of known_hosts, or what ssh-keygen -lf prints (256 SHA256:…)"


@dataclass(frozen=True, slots=True)
class Pasted:
    """`key`: the best of those that are there whole, made regular, "" where there is none. `fingerprints`: SHA256:… of
    all that are named, those of whole keys too; `kinds`: names of ALGORITHMS, of those of which it is known."""

    key: str
    fingerprints: tuple[str, ...]
    kinds: tuple[str, ...] = ()


def read(text: str, names: Collection[str] = ()) -> Pasted:
    """Raises ValueError, whose text is the reason. `names`: what the host is called and its address, to choose the
    lines of known_hosts that are about it; where none is, all count."""
    if len(text) > LONGEST:
        raise ValueError(f"must have at most {LONGEST} characters")
    lines = [line for raw in re.split(r"\r\n?|\n", text) if (line := raw.strip()) and not line.startswith("#")]
    if not lines or len(lines) > MOST_LINES:
        raise ValueError(TAKEN)
    whole: list[tuple[str, str]] = []  # patterns of known_hosts, and the key
    named: list[tuple[str, str]] = []  # fingerprint, kind
    for line in lines:
        if (found := _fingerprint(line)) is not None:
            named.append(found)
        else:
            whole.append(_key(line))
    about = [key for patterns, key in whole if _is_about(patterns, names)] or [key for _patterns, key in whole]
    about.sort(key=lambda key: host_keys.KINDS.index(key.split()[0]))
    prints = [host_keys.fingerprint(key) for key in about] + [found for found, _kind in named]
    kinds = tuple(dict.fromkeys(kind for _found, kind in named if kind))
    return Pasted(about[0] if about else "", tuple(dict.fromkeys(prints)), kinds)


def _fingerprint(line: str) -> tuple[str, str] | None:
    """The fingerprint and perhaps the kind of a line of ssh-keygen -lf, or of one that is nothing but a fingerprint."""
    words = line.split()
    bare = words[1:2] if words[0].isdigit() else words[:1] if len(words) == 1 else []
    for word in bare or [word for word in words if word.startswith("SHA256:")]:
        if _MD5.match(word):
            raise ValueError("is an MD5 fingerprint, which proves nothing any more: print it with ssh-keygen -lf")
        if match := _SHA256.match(word):
            kind = _KIND.search(line)
            return f"SHA256:{match[1]}", kind[1] if kind else ""
    return None


def _key(line: str) -> tuple[str, str]:
    """The host patterns ("" where there are none) and the key of a line."""
    words = line.split()
    if "PRIVATE KEY" in line:
        raise ValueError("is a private key, which never leaves its host: give the public one, from the file .pub")
    if "SSH2 PUBLIC KEY" in line:
        raise ValueError("is in the form of RFC 4716: convert it with ssh-keygen -i -f FILE")
    if words[0].startswith("@"):
        raise ValueError(f"begins with {words[0][:20]}: only a host's own key can be pinned")
    if len(words) > 2 and words[0] not in host_keys.KINDS and words[1] in host_keys.KINDS:
        return words[0], host_keys.parse(" ".join(words[1:3]))
    if len(words) < 2:
        raise ValueError(TAKEN)
    return "", host_keys.parse(line)


def _is_about(patterns: str, names: Collection[str]) -> bool:
    """Whether a line's hosts, plain or hashed, are among the names."""
    if not patterns:
        return True
    bare = {name.casefold() for name in names if name}
    if not patterns.startswith("|1|"):
        plain = (re.sub(r"\A\[(.*)\](?::\d+)?\Z", r"\1", one).casefold() for one in patterns.split(","))
        return any(one in bare for one in plain)
    try:
        _empty, _one, salt, digest = patterns.split("|")
        secret, wanted = base64.b64decode(salt), base64.b64decode(digest)
    except ValueError:
        return False
    return any(hmac.compare_digest(hmac.new(secret, name.encode(), hashlib.sha1).digest(), wanted) for name in bare)
