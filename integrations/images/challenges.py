"""How a registry asks for a sign-in: the challenges of a 401, and where a token may be asked for. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from messages import Message

MAX_HEADER = 4096  # characters
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAM = re.compile(rf'({_WORD})[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s,"]+)')
_SCHEME = re.compile(_WORD)


@dataclass(frozen=True, slots=True)
class Challenge:
    scheme: str  # in lower case
    params: dict[str, str] = field(default_factory=dict)  # names in lower case


def parse(header: str) -> list[Challenge]:
    """Return the challenges of a WWW-Authenticate header; what cannot be read is passed over."""
    found: list[Challenge] = []
    text, at = header[:MAX_HEADER], 0
    while at < len(text):
        if found and (param := _PARAM.match(text, at)):
            found[-1].params.setdefault(param[1].lower(), _unquoted(param[2]))
            at = param.end()
        elif scheme := _SCHEME.match(text, at):
            found.append(Challenge(scheme[0].lower()))
            at = scheme.end()
        else:
            at += 1
    return found


def chosen(challenges: Iterable[Challenge]) -> Challenge | None:
    """Return the one to answer: a token before a password, which then is not sent with each request."""
    known = {challenge.scheme: challenge for challenge in reversed(list(challenges))}
    return known.get("bearer") or known.get("basic")


def realm_error(realm: str, server: str) -> Message | None:
    """Return why no password goes to this token server, which the registry at `server` names; None where it may."""
    try:
        parts = urlsplit(realm)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.username is not None or not (realm.isascii() and realm.isprintable()) or " " in realm:
        return Message("registry_realm")
    if parts.scheme == "http" and urlsplit(server).scheme == "https":
        return Message("registry_realm.plain", {"host": parts.netloc})
    return None


def token_address(challenge: Challenge, scope: str, user: str) -> str:
    """Return the address that gives a token for `scope`: the one that we want, not one that the registry names."""
    parts = urlsplit(challenge.params.get("realm", ""))
    query = parse_qsl(parts.query, keep_blank_values=True)
    if service := challenge.params.get("service"):
        query.append(("service", service))
    if scope:
        query.append(("scope", scope))
    if user:
        query.append(("account", user))
    return parts._replace(query=urlencode(query), fragment="").geturl()


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
