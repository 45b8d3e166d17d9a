"""What each field of a host may be. Pure: each function takes a value as the caller sent it and returns it normalized.

Each raises InvalidValue. A reason never repeats a secret or the value itself.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from deployer.engine.text import KNOWN, normalised
from messages import Message
from messages.invalid import InvalidValue

from . import pasted_keys

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){_NAME}(?:\.{_NAME})*\Z")
USERNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\Z")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}\Z")
MAX_LABELS = 64
MAX_TEAMS = 64
MAX_ID = 2**63 - 1


def text(value: Any, longest: int, least: int = 0) -> str:
    """Check one line without control characters: PostgreSQL refuses a NUL, and a newline would break every list."""
    if not isinstance(value, str):
        raise InvalidValue("not_text")
    if not least <= len(value) <= longest:
        raise InvalidValue("text_length", min=least, max=longest)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise InvalidValue("control_characters")
    return value


def name(value: Any, longest: int) -> str:
    """Check what something is called: as `text`, not empty, and without blanks around it."""
    found = text(value, longest, 1)
    if found != found.strip():
        raise InvalidValue("surrounding_blanks")
    return found


def number(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidValue("number_range", min=least, max=most)
    return value


def hostname(value: Any) -> str:
    if not HOSTNAME.match(text(value, 253, 1)):
        raise InvalidValue("hostname_syntax")
    return value


def address(value: Any) -> str:
    """Check an IP address, or a name that is resolved at each connection: the pinned key identifies the host."""
    line = text(value, 253, 1)
    # Programs disagree about 1.2 or 0x7f.1, so a name must not end in a number: such a value has to be an address.
    last = line.rpartition(".")[2]
    if HOSTNAME.match(line) and not re.fullmatch(r"\d+|0[xX][0-9A-Fa-f]*", last):
        return line.lower()
    try:
        return ip(line)
    except InvalidValue as error:
        looks_numeric = ":" in line or line.replace(".", "").isdigit()
        raise error if looks_numeric else InvalidValue("address_syntax") from None


def ip(value: Any) -> str:
    line = text(value, 45, 1)
    try:
        parsed = ipaddress.ip_address(line)
    except ValueError:
        raise InvalidValue("ip_syntax") from None
    if "%" in line or parsed.is_multicast or parsed.is_unspecified:
        raise InvalidValue("ip_of_one_host")
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


def username(value: Any) -> str:
    if not USERNAME.match(text(value, 64, 1)):
        raise InvalidValue("username_syntax")
    return value


def base_path(value: Any) -> str:
    """Check an absolute folder below /; return it without doubled or trailing slashes."""
    path = text(value, 512, 1)
    parts = [part for part in path.split("/") if part]
    if not path.startswith("/") or not parts:
        raise InvalidValue("path_not_absolute")
    if any(part in (".", "..") for part in parts):
        raise InvalidValue("path_with_dots")
    return "/" + "/".join(parts)


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue("not_boolean")
    return value


def labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_LABELS:
        raise InvalidValue("not_labels", max=MAX_LABELS)
    for name in value:
        if not isinstance(name, str) or not LABEL.match(name):
            raise InvalidValue("label_syntax")
    return {name: text(label, 255) for name, label in value.items()}


def host_key(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidValue("not_text")
    if not value.strip():
        return ""
    pasted = pasted_keys.read(value)
    if not pasted.key:
        raise InvalidValue("host_key_is_fingerprint")
    return pasted.key


def encoding(value: Any) -> str:
    """Return the canonical name of an encoding; "" where none is set."""
    try:
        return normalised(text(value, 32))
    except InvalidValue:
        raise
    except ValueError:
        raise InvalidValue("not_one_of", choices=list(KNOWN)) from None


def reference(value: Any) -> int | None:
    """Check the id of another row, or None. `hosts.missing_references` looks rows up later, for many hosts at once."""
    return None if value is None else number(value, 1, MAX_ID)


def teams(value: Any) -> list[int | str]:
    """Check ids or names of teams, without duplicates. `tenancy.teams_of` looks the rows up later, for many hosts."""
    if not isinstance(value, list) or len(value) > MAX_TEAMS:
        raise InvalidValue("not_teams", max=MAX_TEAMS)
    return list(
        dict.fromkeys(text(team, 64, 1) if isinstance(team, str) else number(team, 1, MAX_ID) for team in value)
    )


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
    "environment_id": reference,
    "package_port": lambda value: None if value is None else number(value, 1024, 65535),
    "package_address": lambda value: None if value is None else ip(value),
    "teams": teams,
    "labels": labels,
    "host_key": host_key,
    "description": lambda value: text(value, 256),
}
REQUIRED = ("hostname", "ip")


def check(values: Mapping[str, Any], required: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, Message]]:
    """Return the normalized values, and the reason for each field that is wrong."""
    clean: dict[str, Any] = {}
    reasons = {name: Message("required") for name in required if name not in values}
    for name, value in values.items():
        if name not in FIELDS:
            reasons[name] = Message("unknown_field")
            continue
        try:
            clean[name] = FIELDS[name](value)
        except InvalidValue as error:
            reasons[name] = error.reason
    return clean, reasons
