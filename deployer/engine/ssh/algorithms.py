"""Which algorithms are offered to a server, and what to say where it has none of them. Pure.

Strongest class first; within a class, what costs a host least. The last class is offered only to hosts whose row says
so: SHA-1 signatures and key exchanges, CBC, MACs with SHA-1 or MD5. OpenSSH before 7.2 has nothing better for RSA keys.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import paramiko
from cryptography.hazmat.primitives import hashes
from paramiko.kex_curve25519 import KexCurve25519
from paramiko.kex_gex import KexGexSHA256
from paramiko.kex_group14 import KexGroup14SHA256

from messages import Message

MAX_NAMED = 16  # algorithms of one list that an error names
_NAME = re.compile(r"[A-Za-z0-9@._+-]{1,64}\Z")


@dataclass(frozen=True)
class Offer:
    """What one side can speak, each list by its own preference. Where the two directions differ, what both have."""

    kex: tuple[str, ...]
    keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    compression: tuple[str, ...]


# The option of sshd_config for each list.
OPTIONS = {
    "kex": "KexAlgorithms",
    "keys": "HostKeyAlgorithms",
    "ciphers": "Ciphers",
    "macs": "MACs",
    "compression": "Compression",
    "logins": "PubkeyAcceptedAlgorithms",
}

MODERN = Offer(
    # The hybrid withstands quantum computers. OpenSSH's server has fast code for P-256, and only a plain one for
    # curve25519, which is as strong: 2 ms of a host's CPU a connection.
    kex=(
        "mlkem768x25519-sha256",
        "ecdh-sha2-nistp256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group14-sha256",
    ),
    keys=(
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "rsa-sha2-512",
        "rsa-sha2-256",
    ),
    ciphers=("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr"),
    macs=("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512", "hmac-sha2-256"),
    compression=("none", "zlib@openssh.com"),
)
_OLD = Offer(
    kex=("diffie-hellman-group-exchange-sha1", "diffie-hellman-group14-sha1"),
    keys=("ssh-rsa",),
    ciphers=("aes256-cbc", "aes192-cbc", "aes128-cbc", "3des-cbc"),
    macs=("hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96"),
    compression=("zlib",),
)
LEGACY = Offer(**{each.name: getattr(MODERN, each.name) + getattr(_OLD, each.name) for each in fields(Offer)})


class OldRSAKey(paramiko.RSAKey):
    """An RSA key that also signs and verifies with SHA-1, as `ssh-rsa`."""

    HASHES = {**paramiko.RSAKey.HASHES, "ssh-rsa": hashes.SHA1}


class _GroupExchangeSHA1(KexGexSHA256):
    name = "diffie-hellman-group-exchange-sha1"
    hash_algo = hashlib.sha1


class _Group14SHA1(KexGroup14SHA256):
    name = "diffie-hellman-group14-sha1"
    hash_algo = hashlib.sha1


KEX = {
    **paramiko.Transport._kex_info,
    "curve25519-sha256": KexCurve25519,  # the RFC's name for curve25519-sha256@libssh.org
    "diffie-hellman-group-exchange-sha1": _GroupExchangeSHA1,
    "diffie-hellman-group14-sha1": _Group14SHA1,
}
KEYS = {**paramiko.Transport._key_info, "ssh-rsa": OldRSAKey}


def ours(legacy: bool) -> Offer:
    """Return what is offered to a host, without what this build of paramiko cannot speak."""
    offer = LEGACY if legacy else MODERN
    return Offer(**{**vars(offer), "kex": tuple(name for name in offer.kex if name in KEX)})


def of_type(kind: str, offer: Offer) -> tuple[str, ...]:
    """Return the algorithms that can prove a host key of the type `kind` (`ssh-rsa`, `ssh-ed25519` …)."""
    wanted = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa") if kind == "ssh-rsa" else (kind,)
    return tuple(name for name in wanted if name in offer.keys or name not in LEGACY.keys)


def theirs(parsed: Mapping[str, Sequence[str]]) -> Offer:
    """Return a server's lists, as paramiko parsed them, without names that are not names of algorithms."""

    def both(what: str) -> tuple[str, ...]:
        here, there = (names(parsed[f"{side}_{what}_algo_list"]) for side in ("client", "server"))
        return tuple(name for name in here if name in there)

    kex = tuple(name for name in names(parsed["kex_algo_list"]) if not name.startswith(("ext-info-", "kex-strict-")))
    return Offer(kex, names(parsed["server_key_algo_list"]), both("encrypt"), both("mac"), both("compress"))


def names(given: Sequence[str]) -> tuple[str, ...]:
    """Return those that can be names of algorithms: what a server says goes into errors."""
    return tuple(name for name in given if _NAME.match(name))


@dataclass(frozen=True)
class Gap:
    """A list in which nothing is common."""

    what: str  # a name of OPTIONS
    theirs: tuple[str, ...]
    ours: tuple[str, ...]

    @property
    def message(self) -> Message:
        return Message(f"gap.{self.what}", {"theirs": _named(self.theirs), "ours": _named(self.ours)})


def gaps(server: Offer, client: Offer) -> list[Gap]:
    """List every kind in which the two have nothing in common. A MAC is needed only if the cipher has none itself."""
    found = []
    for name, here in vars(client).items():
        there = getattr(server, name)
        if not set(here) & set(there) and not (name == "macs" and has_own_mac(server.ciphers, client.ciphers)):
            found.append(Gap(name, there, here))
    return found


def has_own_mac(server: Sequence[str], client: Sequence[str]) -> bool:
    """Return whether the cipher that is taken, the first of ours that the server has, needs no MAC."""
    return "gcm" in next((name for name in client if name in server), "")


def remedy(found: Sequence[Gap], legacy: bool) -> Message:
    """Return what to change."""
    changes = [f"{_wanted(gap)} ({OPTIONS[gap.what]})" for gap in found]
    last_resort = not legacy and legacy_would_do(found)
    return Message("remedy.algorithms_or_legacy" if last_resort else "remedy.algorithms", {"changes": changes})


def _wanted(gap: Gap) -> str:
    if gap.what in ("keys", "logins") and "ssh-rsa" in gap.theirs and "rsa-sha2-512" in gap.ours:
        return "rsa-sha2-512"
    return gap.ours[0]


def legacy_would_do(found: Sequence[Gap]) -> bool:
    """Return whether a host that is allowed legacy algorithms could be spoken to."""
    return all(set(gap.theirs) & set(_old(gap.what)) for gap in found)


def old_in_use(names: Sequence[str]) -> list[str]:
    """Return those of the agreed algorithms that are not offered without legacy."""
    modern = {name for each in fields(Offer) for name in getattr(MODERN, each.name)}
    return [name for name in dict.fromkeys(names) if name not in modern]


def by_hand() -> list[str]:
    """Return options that add the old ones to what OpenSSH's client offers: as `ours(legacy=True)` does here."""
    # The name that clients before OpenSSH 8.5 know too.
    lists = {OPTIONS[name]: getattr(_OLD, name) for name in ("kex", "keys", "ciphers", "macs")}
    lists["PubkeyAcceptedKeyTypes"] = _OLD.keys
    return [f"{option}=+{','.join(names)}" for option, names in lists.items()]


def _old(what: str) -> tuple[str, ...]:
    return getattr(_OLD, "keys" if what == "logins" else what)


def _named(names: Sequence[str]) -> list[str]:
    more = len(names) - MAX_NAMED
    return [*names[:MAX_NAMED], *([f"+{more}"] if more > 0 else [])] or ["-"]
