"""User and password in addresses (`https://user:password@host/`): found, taken out, and hidden where one is shown."""

import re
from typing import Any
from urllib.parse import unquote

# Linear: a match begins at "//" and cannot reach over the next "/" or blank, so no letter is looked at twice.
_USERINFO = re.compile(r"//[^/\s?#'\"]*@")


def hidden(text: str) -> str:
    """The text with users and passwords of addresses in it hidden; a user without a password of ssh:// stays."""
    return _USERINFO.sub(_hide, text) if "@" in text else text


def hidden_in(value: Any) -> Any:
    """Return a JSON value with the userinfo of URLs in its texts hidden."""
    if isinstance(value, dict):
        return {name: hidden_in(part) for name, part in value.items()}
    if isinstance(value, list):
        return [hidden_in(part) for part in value]
    return hidden(value) if isinstance(value, str) else value


def _hide(match: re.Match) -> str:
    is_ssh = match.string.endswith(("ssh:", "git:"), max(0, match.start() - 4), match.start())
    return match[0] if is_ssh and ":" not in match[0] else "//•••@"


def split(url: str) -> tuple[str, str, str]:
    """An address without its secret, the user and the password: (url, user, password).

    What stands before `@` in http and https is a secret in any case, because many servers take a token there. In ssh
    the user stays in the address.
    """
    scheme, sign, rest = url.partition("://")
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    told, at, _ = place.rpartition("@")
    if not sign or not at:
        return url, "", ""
    user, colon, password = told.partition(":")
    if not scheme.lower().startswith("http"):
        return (f"{scheme}://{user}@{rest[len(told) + 1 :]}" if colon else url), "", unquote(password)
    clean = f"{scheme}://{rest[len(told) + 1 :]}"
    return (clean, unquote(user), unquote(password)) if colon else (clean, "", unquote(user))


def server_of(url: str) -> tuple[str, str]:
    """Where an address leads, for comparison: (scheme, host and port). `git@host:path` is ssh."""
    scheme, sign, rest = url.partition("://")
    if not sign:
        scheme, rest = "ssh", url.partition(":")[0]
    return scheme.lower(), re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2].lower()
