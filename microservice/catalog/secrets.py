"""What a service keeps and never gives out: secrets of its commands and builds, and what its code is fetched with.

On the way in a map names only what changes: {"NAME": text, or None to remove it}. `build_password` and `build_key` are
texts, "" to remove them; both are kept in `build_credential`. What comes out, here, in the history and everywhere, are
names and what became of them.
"""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from access import url_userinfo
from access.masking import SHORTEST
from access.sealed import SealedMap
from access.secrets import Undecryptable
from deployer.engine import plans
from deployer.engine.errors import BadCredential

from ..models import MicroService
from .fields import refuse

MAPS = ("secrets", "build_secrets")
WORDS = {"build_password": "password", "build_key": "key"}  # field: its name in build_credential
WRITE_ONLY = (*MAPS, *WORDS)
STORED = (*MAPS, "build_credential")
# What changes what a build runs with: needs the same right as `build_command`.
OF_BUILDS = ("build_secrets", "build_username", *WORDS)
MOST = 64  # secrets of a map
LONGEST = 16_384  # bytes of one; of a key as well
ALTOGETHER = 32_768  # bytes of a map: it travels in a program of at most 120,000
LINES = 400  # lines of a map: each is looked for in all that is printed
OF_BUILD = {
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "OUT",
    "REF",
    "COMMIT",
    "SERVICE_ID",
    "SERVICE_NAME",
    "VERSION_ID",
    "USERNAME",
    "DEPLOYER_BUILD",
}


def resolve(stored: MicroService, fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The write-only fields among `fields`: (values to set, what the history is told). Raises one 422 Problem.

    `stored`: the service as it is in the database, its row locked; what does not change is in neither.
    """
    errors = [
        error for name in MAPS if name in fields for error in _map_errors(name, getattr(stored, name), fields[name])
    ]
    errors += [error for name in WORDS if name in fields for error in _word_errors(name, fields[name])]
    errors += _moved_errors(stored, fields)
    refuse(errors)
    values: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for name in MAPS:
        before: SealedMap = getattr(stored, name)
        changes = {key: text for key, text in (fields.get(name) or {}).items() if text is not None or key in before}
        if changes:
            values[name] = before.after(changes, timezone.now())
            told[name] = {key: _became(key in before, text is not None) for key, text in sorted(changes.items())}
    credential: SealedMap = stored.build_credential
    given = {key: _regular(name, fields[name]) or None for name, key in WORDS.items() if name in fields}
    changes = {key: text for key, text in given.items() if text is not None or key in credential}
    if changes:
        values["build_credential"] = credential.after(changes, timezone.now())
        told |= {f"build_{key}": _became(key in credential, text is not None) for key, text in changes.items()}
    return values, told


def clashes(service: MicroService) -> list[dict]:
    """Names that are both in the environment and a secret: which of them would commands see?"""
    both = sorted(set(service.environment) & set(service.secrets)) if isinstance(service.environment, dict) else []
    return [{"pointer": f"/secrets/{name}", "reason": f"{name} is in the environment already"} for name in both]


def _became(was: bool, is_now: bool) -> str:
    return ("changed" if was else "set") if is_now else "removed"


def _map_errors(field: str, before: SealedMap, changes: Mapping[str, str | None]) -> list[dict]:
    errors = []
    for name, text in changes.items():
        if reason := _reason(field, name, text):
            errors.append({"pointer": f"/{field}/{name}", "reason": reason})
    if errors or all(text is None for text in changes.values()):
        return errors
    kept = {name: _size(before, name) for name in before if name not in changes}
    sizes = [*kept.values(), *(_measure(text) for text in changes.values() if text is not None)]
    if len(sizes) > MOST:
        errors.append({"pointer": f"/{field}", "reason": f"there may be {MOST} of them"})
    if sum(size for size, _ in sizes) > ALTOGETHER:
        errors.append({"pointer": f"/{field}", "reason": f"must be at most {ALTOGETHER} bytes altogether"})
    if sum(lines for _, lines in sizes) > LINES:
        errors.append({"pointer": f"/{field}", "reason": f"must be at most {LINES} lines altogether"})
    return errors


def _reason(field: str, name: str, text: str | None) -> str:
    """What is wrong with a name or its value. Never quotes the value."""
    if text is None:
        return ""  # to remove what is not there changes nothing
    try:
        plans.check_environment({name: ""})
    except ValueError as error:
        return str(error)
    if field == "build_secrets" and name in OF_BUILD:
        return f"{name} is set by the build itself"
    if len(text.encode()) > LONGEST:
        return f"must be at most {LONGEST} bytes"
    if "\0" in text:
        return "must not contain NUL"
    if len(text.strip().encode()) < SHORTEST:
        return f"must be at least {SHORTEST} bytes without the blanks around it: less cannot be masked in output"
    return ""


def _size(before: SealedMap, name: str) -> tuple[int, int]:
    try:
        return _measure(before.value(name).reveal())
    except Undecryptable:  # what cannot be read must not be in the way of what is given anew
        return 0, 0


def _measure(text: str) -> tuple[int, int]:
    return len(text.encode()), text.count("\n") + 1


def _word_errors(name: str, text: str) -> list[dict]:
    if len(text.encode()) > LONGEST or "\0" in text:
        return [{"pointer": f"/{name}", "reason": f"must be at most {LONGEST} bytes without NUL"}]
    if name == "build_password" and any(ord(letter) < 32 for letter in text):
        return [{"pointer": f"/{name}", "reason": "holds a control character"}]
    try:
        _regular(name, text)
    except BadCredential as error:
        reason = f"must be a private key without a passphrase. {error} {error.hint}"
        return [{"pointer": f"/{name}", "reason": reason}]
    if text and len(text.strip().encode()) < SHORTEST:
        return [{"pointer": f"/{name}", "reason": f"must be at least {SHORTEST} bytes"}]
    return []


def _regular(name: str, text: str) -> str:
    """A key as ssh reads it from a file, however it was pasted; a password as it is."""
    if name != "build_key" or not text:
        return text
    from deployer.engine.ssh.keys import open_key  # loads what speaks SSH: only where a key is given

    return open_key(text)


def _moved_errors(stored: MicroService, fields: Mapping[str, Any]) -> list[dict]:
    """A password goes to the server that it was given for and to no other: else who sets the address could read it."""
    url = fields.get("build_url", stored.build_url)
    if "password" not in stored.build_credential or "build_password" in fields or not isinstance(url, str):
        return []
    if url_userinfo.server_of(url) == url_userinfo.server_of(stored.build_url):
        return []
    reason = (
        f"was given for {url_userinfo.server_of(stored.build_url)[1]}: give it again for the new address, or remove it"
    )
    return [{"pointer": "/build_password", "reason": reason}]
