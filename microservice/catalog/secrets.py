"""A service's write-only fields: the secrets of its commands and builds, and the credential that fetches its code.

A request names only what changes in a map: {"NAME": text, or None to remove it}. `build_password` and `build_key` are
texts, "" to remove them; both are stored in `build_credential`. Answers and the history show names and what became of
them ("set", "changed", "removed"), never a value.
"""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from access import url_userinfo
from access.masking import MIN_SECRET
from access.problems import FieldError
from access.sealed import SealedMap
from access.secrets import Undecryptable
from deployer.engine import spec
from deployer.engine.errors import BadCredential
from messages import Message

from ..models import MicroService
from .fields import reason_of, refuse

MAPS = ("secrets", "build_secrets")
CREDENTIALS = {"build_password": "password", "build_key": "key"}  # field: its name in build_credential
WRITE_ONLY = (*MAPS, *CREDENTIALS)
STORED = (*MAPS, "build_credential")
# Fields that decide what a build sees: they need the same right as `build_command`.
BUILD_SECRET_FIELDS = ("build_secrets", "build_username", *CREDENTIALS)
MAX_SECRETS = 64  # of a map
MAX_BYTES = 16_384  # of one secret, also of a key
MAX_MAP_BYTES = 32_768  # a map travels in a program of at most 120,000
MAX_MAP_LINES = 400  # each line is searched for in all output
SET_BY_BUILD = {
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
    """Return the write-only fields among `fields` as (values to save, changes for the history).

    `stored`: the service as it is in the database, its row locked. What does not change is in neither. Raise one 422
    Problem with everything that is wrong.
    """
    errors = [
        error for name in MAPS if name in fields for error in _map_errors(name, getattr(stored, name), fields[name])
    ]
    errors += [error for name in CREDENTIALS if name in fields for error in _credential_errors(name, fields[name])]
    errors += _server_errors(stored, fields)
    refuse(errors)
    values: dict[str, Any] = {}
    history: dict[str, Any] = {}
    for name in MAPS:
        before: SealedMap = getattr(stored, name)
        changes = {key: text for key, text in (fields.get(name) or {}).items() if text is not None or key in before}
        if changes:
            values[name] = before.after(changes, timezone.now())
            history[name] = {key: _change(key in before, text is not None) for key, text in sorted(changes.items())}
    credential: SealedMap = stored.build_credential
    texts = {key: _normalised(name, fields[name]) or None for name, key in CREDENTIALS.items() if name in fields}
    changes = {key: text for key, text in texts.items() if text is not None or key in credential}
    if changes:
        values["build_credential"] = credential.after(changes, timezone.now())
        history |= {f"build_{key}": _change(key in credential, text is not None) for key, text in changes.items()}
    return values, history


def clashes(service: MicroService) -> list[FieldError]:
    """Return an error for each name that is both a variable of the environment and a secret."""
    both = sorted(set(service.environment) & set(service.secrets)) if isinstance(service.environment, dict) else []
    return [FieldError(f"/secrets/{name}", "secret_in_environment", name=name) for name in both]


def _change(existed: bool, exists: bool) -> str:
    return ("changed" if existed else "set") if exists else "removed"


def _map_errors(field: str, before: SealedMap, changes: Mapping[str, str | None]) -> list[FieldError]:
    errors = [
        FieldError(f"/{field}/{name}", reason)
        for name, text in changes.items()
        if (reason := _secret_reason(field, name, text))
    ]
    if errors or all(text is None for text in changes.values()):
        return errors
    unchanged = [_stored_size(before, name) for name in before if name not in changes]
    sizes = [*unchanged, *(_size(text) for text in changes.values() if text is not None)]
    if len(sizes) > MAX_SECRETS:
        errors.append(FieldError(f"/{field}", "secrets_count", max=MAX_SECRETS))
    if sum(size for size, _ in sizes) > MAX_MAP_BYTES:
        errors.append(FieldError(f"/{field}", "secrets_bytes", max=MAX_MAP_BYTES))
    if sum(lines for _, lines in sizes) > MAX_MAP_LINES:
        errors.append(FieldError(f"/{field}", "secrets_lines", max=MAX_MAP_LINES))
    return errors


def _secret_reason(field: str, name: str, text: str | None) -> Message | None:
    """Return what is wrong with a name or its value. Never quotes the value."""
    if text is None:
        return None  # removing a name that does not exist changes nothing
    try:
        spec.check_environment({name: ""})
    except ValueError as error:
        return reason_of(error)
    if field == "build_secrets" and name in SET_BY_BUILD:
        return Message("secret_of_build", {"name": name})
    if len(text.encode()) > MAX_BYTES:
        return Message("secret_bytes", {"max": MAX_BYTES})
    if "\0" in text:
        return Message("secret_nul")
    if len(text.strip().encode()) < MIN_SECRET:
        return Message("secret_short", {"min": MIN_SECRET})
    return None


def _stored_size(before: SealedMap, name: str) -> tuple[int, int]:
    try:
        return _size(before.value(name).reveal())
    except Undecryptable:  # an unreadable value must not prevent setting new ones
        return 0, 0


def _size(text: str) -> tuple[int, int]:
    """Return (bytes, lines)."""
    return len(text.encode()), text.count("\n") + 1


def _credential_errors(name: str, text: str) -> list[FieldError]:
    pointer = f"/{name}"
    if len(text.encode()) > MAX_BYTES:
        return [FieldError(pointer, "secret_bytes", max=MAX_BYTES)]
    if "\0" in text:
        return [FieldError(pointer, "secret_nul")]
    if name == "build_password" and any(ord(char) < 32 for char in text):
        return [FieldError(pointer, "secret_control_characters")]
    try:
        _normalised(name, text)
    except BadCredential as error:
        return [FieldError(pointer, "build_key_unusable", problem=error.with_remedy)]
    if text and len(text.strip().encode()) < MIN_SECRET:
        return [FieldError(pointer, "secret_short", min=MIN_SECRET)]
    return []


def _normalised(name: str, text: str) -> str:
    """Return a key as ssh reads it from a file, however it was pasted; a password unchanged."""
    if name != "build_key" or not text:
        return text
    from deployer.engine.ssh.keys import open_key  # loads the SSH library: only where there is a key

    return open_key(text)


def _server_errors(stored: MicroService, fields: Mapping[str, Any]) -> list[FieldError]:
    """Return an error where a stored password would go to another server: who sets the address could read it."""
    url = fields.get("build_url", stored.build_url)
    if "password" not in stored.build_credential or "build_password" in fields or not isinstance(url, str):
        return []
    if url_userinfo.server_of(url) == url_userinfo.server_of(stored.build_url):
        return []
    server = url_userinfo.server_of(stored.build_url)[1]
    return [FieldError("/build_password", "password_of_other_server", server=server)]
