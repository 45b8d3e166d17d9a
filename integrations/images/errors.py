"""What may go wrong with a registry, and its own words for people. Each error has a message."""

import json
from typing import Any

from messages import Message
from messages.rendering import english

MAX_WORDS = 300  # characters of the registry's own words
MAX_ERRORS = 3  # of the errors of one answer
_PLAIN_TO_TLS = (b"HTTP request to an HTTPS server", b"plain HTTP request was sent to HTTPS port")


class RegistryFailed(Exception):
    """Something did not work. `message` says what; `step`: of the test of the settings."""

    def __init__(self, message: Message, step: str = "connect"):
        super().__init__(english(message))
        self.message, self.step = message, step


class RegistryAway(RegistryFailed):
    """There was no answer, or none that a registry gives: no fault of what was asked for."""


class SignInFailed(RegistryFailed):
    """The registry or its token server does not accept the account of the settings."""

    def __init__(self, message: Message, step: str = "log in"):
        super().__init__(message, step)


class RegistryRefused(RegistryFailed):
    """The registry answered with an error. `status` of HTTP; `words`: its own, "" where it has none."""

    def __init__(self, status: int, words: str, step: str = "read"):
        self.status, self.words = status, words
        code = "registry_status.words" if words else "registry_status"
        super().__init__(Message(code, {"status": status, **({"words": words} if words else {})}), step)


class ImageMissing(RegistryRefused):
    """The registry has no such image, or hides it from this account."""


class ImageUnusable(RegistryFailed):
    """The registry has it, and it is no image that can be used, or its digest is a lie."""


def words_of(body: bytes) -> str:
    """Return what an answer's body says of an error, as one line that is safe to show.

    Registries say `{"errors": [{"code", "message", "detail"}]}`, some token servers `{"details": "…"}` and the like. ""
    for anything else.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("errors")
    if isinstance(errors, list) and errors:
        return shown("; ".join(filter(None, map(_words, errors[:MAX_ERRORS]))))
    for name in ("details", "message", "error_description", "error"):
        if isinstance(answer.get(name), str):
            return shown(answer[name])
    return ""


def _words(error: Any) -> str:
    if not isinstance(error, dict):
        return ""
    code, said, detail = (error.get(name) for name in ("code", "message", "detail"))
    parts = [part for part in (code, said) if isinstance(part, str) and part]
    if detail:
        parts.append(detail if isinstance(detail, str) else json.dumps(detail)[:MAX_WORDS])
    return ": ".join(parts)


def shown(words: str) -> str:
    """Return another system's words as one line without control characters, and not too long."""
    line = "".join(char if char.isprintable() else " " for char in words[: 10 * MAX_WORDS])
    return " ".join(line.split())[:MAX_WORDS]


def speaks_tls(status: int, body: bytes) -> bool:
    """Return whether this is how a TLS server answers plain HTTP."""
    return status == 400 and any(words in body for words in _PLAIN_TO_TLS)
