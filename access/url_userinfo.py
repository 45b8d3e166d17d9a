"""Find, remove and hide the user and password in URLs (`https://user:password@host/`)."""

import re
from typing import Any
from urllib.parse import unquote

# Linear: a match begins at "//" and ends before the next "/" or blank, so no character is read twice.
_USERINFO = re.compile(r"//[^/\s?#'\"]*@")


def hidden(text: str) -> str:
    """Return the text with users and passwords in its URLs hidden. A user of ssh:// without a password stays."""
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
    """Return a URL without its secret, and the user and password: (url, user, password).

    Everything before `@` in http and https is secret, because many servers take a token there. In ssh the user stays in
    the URL.
    """
    scheme, sign, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    userinfo, at, _ = authority.rpartition("@")
    if not sign or not at:
        return url, "", ""
    user, colon, password = userinfo.partition(":")
    if not scheme.lower().startswith("http"):
        return (f"{scheme}://{user}@{rest[len(userinfo) + 1 :]}" if colon else url), "", unquote(password)
    clean = f"{scheme}://{rest[len(userinfo) + 1 :]}"
    return (clean, unquote(user), unquote(password)) if colon else (clean, "", unquote(user))


def server_of(url: str) -> tuple[str, str]:
    """Return (scheme, host and port) of a URL, for comparison. `git@host:path` is ssh."""
    scheme, sign, rest = url.partition("://")
    if not sign:
        scheme, rest = "ssh", url.partition(":")[0]
    return scheme.lower(), re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2].lower()
