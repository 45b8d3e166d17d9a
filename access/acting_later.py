"""The caller on whose behalf something begins later: with the rights that they have by then."""

from django.contrib.auth import get_user_model
from django.utils import timezone

from .authentication import rights_of
from .callers import PERSONAL, SCOPES, Caller, granted
from .models import Token


def caller_later(user_id: int | None, token_id: int | None, by_token: bool, request_id: str = "") -> Caller | None:
    """Return the caller who asked for it, with what they may do now. None: the account or the token is gone, was
    deactivated, or has expired. At most three queries."""
    user = get_user_model().objects.filter(pk=user_id, is_active=True).first() if user_id else None
    if user is None:
        return None
    if not by_token:
        rights = rights_of(user)
        scopes = frozenset(SCOPES) if rights is None else rights.on_unowned | PERSONAL
        return Caller(name=user.get_username(), user_id=user.pk, scopes=scopes, rights=rights, request_id=request_id)
    token = Token.objects.filter(pk=token_id, user=user, revoked=None).first() if token_id else None
    if token is None or (token.expires and token.expires <= timezone.now()):
        return None
    rights = rights_of(user, granted(token.scopes, bool(token.services)))
    scopes = frozenset(token.scopes)
    return Caller(
        name=user.get_username(),
        user_id=user.pk,
        token_id=token.pk,
        token_name=token.name,
        rights=rights,
        scopes=scopes if rights is None else rights.on_unowned | (scopes & PERSONAL),
        services=frozenset(token.services),
        request_id=request_id,
    )
