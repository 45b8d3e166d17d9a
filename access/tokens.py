"""API tokens: created, shown once, stored as a hash, and revoked with all tokens created with them."""

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

PREFIX = "dpl_"  # lets secret scanners find a token that was committed by mistake
HINT_LENGTH = 8
MAX_NAME = 64  # characters


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def default_expiry() -> datetime:
    """Return when a token expires that is created without an expiry."""
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
    """Create a token. Return its row and the token itself, which cannot be shown again. `expires` None: never.

    Raise 422 for an unknown scope, no scope, no name or an expiry in the past; 401 where the parent was revoked.
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
        # The parent's row is locked until the child's exists: a revocation of the parent waits for that, and then
        # finds the child; after an earlier revocation there is no row to lock.
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


def revoke(token_ids: Collection[int]) -> list[Token]:
    """Revoke these tokens and all tokens created with them, in every generation. Return those that this revoked.

    Two statements a round, however many generations there are. A second round finds what was created during the first;
    usually nothing.
    """
    ended: set[int] = set()
    with transaction.atomic():
        while found := _open_below(token_ids):
            Token.objects.filter(pk__in=found, revoked=None).update(revoked=timezone.now())
            ended |= found
        return list(Token.objects.filter(pk__in=ended).order_by("pk"))


def _open_below(token_ids: Collection[int]) -> set[int]:
    """Return the ids of these tokens and of all their descendants that are not revoked."""
    if not token_ids:
        return set()
    places = ", ".join(["%s"] * len(token_ids))
    tree = f"""
        WITH RECURSIVE below(id) AS (
            SELECT id FROM token WHERE id IN ({places})
            UNION SELECT token.id FROM token JOIN below ON token.parent_id = below.id
        )
        SELECT token.id FROM token JOIN below ON token.id = below.id WHERE token.revoked IS NULL
    """  # noqa: S608 - nothing but places for values
    with connection.cursor() as cursor:
        cursor.execute(tree, list(token_ids))
        return {number for (number,) in cursor.fetchall()}


def _holds() -> Q:
    return Q(revoked=None) & (Q(expires=None) | Q(expires__gt=timezone.now()))
