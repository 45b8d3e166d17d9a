"""End sessions and revoke tokens, at once and for good. A signal lets the audit history record it."""

from dataclasses import dataclass, field

from django.contrib.auth.models import User
from django.db import transaction
from django.dispatch import Signal

from . import security_log, sessions, tokens
from .callers import Caller
from .models import Token
from .problems import not_found, refused

ended = Signal()  # caller, user, what (Ended), reason


@dataclass(frozen=True, slots=True)
class Ended:
    sessions: int = 0
    tokens: list[Token] = field(default_factory=list)


def end_access(caller: Caller, user: User, reason: str, *, keep: str = "", with_tokens: bool = True) -> Ended:
    """End all sessions of a user, except the one with the digest `keep`, and revoke their tokens with all descendants.

    It does not check that the caller may: `require_may_end` does.
    """
    with transaction.atomic():
        # Sessions first: this waits for one that is creating a token, which is then among those below.
        session_count = sessions.end_all(user.pk, keep)
        own = list(Token.objects.filter(user=user, revoked=None).values_list("pk", flat=True)) if with_tokens else []
        result = Ended(session_count, tokens.revoke(own))
        if result.sessions or result.tokens:
            ended.send(None, caller=caller, user=user, what=result, reason=reason)
            security_log.log_event(
                "sessions and tokens ended",
                caller,
                subject=user.get_username(),
                sessions=result.sessions,
                tokens=len(result.tokens),
                reason=reason,
            )
    return result


def require_may_end(caller: Caller, user_id: int) -> None:
    """Allow the user and administrators, in a session or with the scope tokens. Raise 403 or 404."""
    if user_id != caller.user_id and not caller.may("admin"):
        raise not_found("user")
    if caller.services or not caller.may("tokens"):
        raise refused("forbidden.token_ends_access")
