"""What each field of a host may be. Pure: a value goes in as the caller gave it, and comes out regular or refused.

The reasons are sentences that end up in an answer's `errors`, so none of them repeats a secret or the value itself.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from deployer.engine.text import normalised

from . import pasted_keys

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){_NAME}(?:\.{_NAME})*\Z")
USERNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\Z")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}\Z")
MOST_LABELS = 64
MOST_TEAMS = 64


def text(value: Any, longest: int, least: int = 0) -> str:
    """A line of text without control characters (a NUL would be refused by PostgreSQL, a newline by every list)."""
    if not isinstance(value, str):
        raise ValueError("must be a text")
    if not least <= len(value) <= longest:
        raise ValueError(f"must have {least} to {longest} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ValueError("must not contain control characters")
    return value


def number(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"must be a whole number from {least} to {most}")
    return value


def hostname(value: Any) -> str:
    if not HOSTNAME.match(text(value, 253, 1)):
        raise ValueError("must be a host name: letters, digits, - and _ between dots")
    return value


def address(value: Any) -> str:
    """An IPv4 or IPv6 address, or a name, which is resolved at each connection: the pinned key says whose it is."""
    given = text(value, 253, 1)
    # What ends in digits only is an address, or none; what programs make of 1.2 or 0x7f.1 differs.
    last = given.rpartition(".")[2]
    if HOSTNAME.match(given) and not re.fullmatch(r"\d+|0[xX][0-9A-Fa-f]*", last):
        return given.lower()
    try:
        return ip(given)
    except ValueError as error:
        is_one = ":" in given or given.replace(".", "").isdigit()
        raise error if is_one else ValueError("must be an IPv4 or IPv6 address, or a host's name") from None


def ip(value: Any) -> str:
    given = text(value, 45, 1)
    try:
        found = ipaddress.ip_address(given)
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address") from None
    if "%" in given or found.is_multicast or found.is_unspecified:
        raise ValueError("must be the address of one host, without a zone")
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def username(value: Any) -> str:
    if not USERNAME.match(text(value, 64, 1)):
        raise ValueError("must be a user's name: letters, digits and _ . @ -, not starting with - or .")
    return value


def base_path(value: Any) -> str:
    """An absolute folder below /, without doubled or trailing slashes."""
    given = text(value, 512, 1)
    parts = [part for part in given.split("/") if part]
    if not given.startswith("/") or not parts:
        raise ValueError("must be an absolute path to a folder below /")
    if any(part in (".", "..") for part in parts):
        raise ValueError("must not contain . or .. as a folder")
    return "/" + "/".join(parts)


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MOST_LABELS:
        raise ValueError(f"must be an object of at most {MOST_LABELS} names and texts")
    for name in value:
        if not isinstance(name, str) or not LABEL.match(name):
            raise ValueError("a label's name starts with a letter or a digit, then letters, digits and . _ / -")
    return {name: text(word, 255) for name, word in value.items()}


def host_key(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    if not value.strip():
        return ""
    found = pasted_keys.read(value)
    if not found.key:
        raise ValueError("is a fingerprint, not a key: the host is asked for its key when the fingerprint is trusted")
    return found.key


def encoding(value: Any) -> str:
    """The name under which it is kept; "" where nothing is said."""
    return normalised(text(value, 32))


def reference(value: Any) -> int | None:
    """The id of another row, or None. Whether it is there is asked later, for many hosts at once."""
    return None if value is None else number(value, 1, 2**63 - 1)


def teams(value: Any) -> list[int | str]:
    """Ids or names of teams, without doubles. Whether they are there is asked later, for many hosts at once."""
    if not isinstance(value, list) or len(value) > MOST_TEAMS:
        raise ValueError(f"must be a list of at most {MOST_TEAMS} teams")
    return list(dict.fromkeys(text(one, 64, 1) if isinstance(one, str) else number(one, 1, 2**63 - 1) for one in value))


FIELDS: dict[str, Callable[[Any], Any]] = {
    "hostname": hostname,
    "ip": address,
    "port": lambda value: number(value, 1, 65535),
    "username": username,
    "credential_id": reference,
    "base_path": base_path,
    "sudo": flag,
    "legacy_algorithms": flag,
    "encoding": encoding,
    "jump_host_id": reference,
    "package_port": lambda value: None if value is None else number(value, 1024, 65535),
    "package_address": lambda value: None if value is None else ip(value),
    "teams": teams,
    "labels": labels,
    "host_key": host_key,
    "description": lambda value: text(value, 256),
}
REQUIRED = ("hostname", "ip")


def check(values: Mapping[str, Any], required: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    """The regular values, and for each field that is wrong the reason."""
    clean: dict[str, Any] = {}
    wrong = {name: "is required" for name in required if name not in values}
    for name, value in values.items():
        if name not in FIELDS:
            wrong[name] = "is not a field of a host"
            continue
        try:
            clean[name] = FIELDS[name](value)
        except ValueError as error:
            wrong[name] = str(error)
    return clean, wrong
