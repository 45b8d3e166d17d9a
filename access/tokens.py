"""Tokens: made, shown once, kept as a hash."""
import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from access.callers import SCOPES
from access.models import Token
from access.problems import invalid

PREFIX = "dpl_"  # lets secret scanners find one that was committed by mistake
HINT_LENGTH = 8


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def make_token(
    user: User, name: str, scopes: Iterable[str], *, services: Iterable[int] = (),
    expires: datetime | None = None, created_by: str = "",
) -> tuple[Token, str]:
    """Makes a token; returns its row and the token itself, which nothing can show a second time.

    Raises a 422 Problem for an unknown scope, no scope, no name or an end that has passed.
    """
    wanted = list(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise invalid("/scopes", f"must be one or more of {', '.join(SCOPES)}")
    if not name.strip() or len(name) > 64 or not name.isprintable():
        raise invalid("/name", "must be 1 to 64 printable characters")
    if expires is not None and expires <= timezone.now():
        raise invalid("/expires", "has passed already")
    text = PREFIX + secrets.token_urlsafe(32)
    row = Token.objects.create(
        user=user, name=name, digest=digest_of(text), hint=text[:HINT_LENGTH], scopes=wanted,
        services=sorted(set(services)), expires=expires, created_by=created_by,
    )
    return row, text
