"""Tokens: made, shown once, kept as a hash, and ended with all that was made with them."""

import hashlib
import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from access.callers import SCOPES
from access.models import Token
from access.problems import invalid, unauthorized

PREFIX = "dpl_"  # lets secret scanners find one that was committed by mistake
HINT_LENGTH = 8
MAX_NAME = 64  # characters


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def default_expiry() -> datetime:
    """When a token ends for which nobody named an end."""
    return timezone.now() + timedelta(days=settings.TOKEN_LIFETIME_DAYS)


def make_token(
    user: User,
    name: str,
    scopes: Iterable[str],
    *,
    services: Iterable[int] = (),
    expires: datetime | None = None,
    parent: int | None = None,
    created_by: str = "",
) -> tuple[Token, str]:
    """Makes a token; returns its row and the token itself, which nothing can show a second time. `expires` None: never.

    Raises a 422 Problem for an unknown scope, no scope, no name or an end that has passed; 401 where the parent ended.
    """
    wanted = list(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise invalid("/scopes", "one_or_more_of", allowed=SCOPES)
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise invalid("/name", "length", max=MAX_NAME)
    if expires is not None and expires <= timezone.now():
        raise invalid("/expires", "in_the_past")
    text = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        # The parent's row is held until the child's is there: whoever revokes the parent meanwhile waits for that,
        # and then sees the child; whoever was faster has left nothing to hold.
        if parent and not Token.objects.filter(_holds(), pk=parent).update(last_used=timezone.now()):
            raise unauthorized("unauthorized.token_revoked")
        row = Token.objects.create(
            user=user,
            name=name,
            digest=digest_of(text),
            hint=text[:HINT_LENGTH],
            scopes=wanted,
            parent_id=parent,
            services=sorted(set(services)),
            expires=expires,
            created_by=created_by,
        )
    return row, text


def revoke(numbers: Collection[int]) -> list[Token]:
    """Takes these tokens back, and with them every token that was made with one of them, in all generations.

    Answers with those that this ended. Two statements for each look, however many generations there are; a second look
    finds what was being made during the first, and changes nothing as a rule.
    """
    ended: set[int] = set()
    with transaction.atomic():
        while found := _open_below(numbers):
            Token.objects.filter(pk__in=found, revoked=None).update(revoked=timezone.now())
            ended |= found
        return list(Token.objects.filter(pk__in=ended).order_by("pk"))


def _open_below(numbers: Collection[int]) -> set[int]:
    """The ids of these tokens and of all their descendants, as far as they are not revoked."""
    if not numbers:
        return set()
    places = ", ".join(["%s"] * len(numbers))
    tree = f"""
        WITH RECURSIVE below(id) AS (
            SELECT id FROM token WHERE id IN ({places})
            UNION SELECT token.id FROM token JOIN below ON token.parent_id = below.id
        )
        SELECT token.id FROM token JOIN below ON token.id = below.id WHERE token.revoked IS NULL
    """  # noqa: S608 - nothing but places for values
    with connection.cursor() as cursor:
        cursor.execute(tree, list(numbers))
        return {number for (number,) in cursor.fetchall()}


def _holds() -> Q:
    return Q(revoked=None) & (Q(expires=None) | Q(expires__gt=timezone.now()))
