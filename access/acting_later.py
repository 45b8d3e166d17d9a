"""The caller on whose behalf something begins later: with the rights that they have by then."""

from django.contrib.auth import get_user_model

from .authentication import acting_as
from .callers import Caller
from .models import Token


def caller_later(user_id: int | None, token_id: int | None, by_token: bool) -> Caller | None:
    """Return the caller who asked for it, with what they may do now. None: the account or the token is gone, or may not
    be used any more. At most three queries."""
    user = get_user_model().objects.filter(pk=user_id, is_active=True).first() if user_id else None
    token = Token.objects.filter(pk=token_id, revoked=None).first() if by_token and token_id else None
    if user is None or (by_token and token is None):
        return None
    return acting_as(user, token)
