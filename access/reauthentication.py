"""Protect what grants access: it takes the own password again, and for a token a scope of its own."""

from django.contrib.auth.models import User

from . import failed_sign_ins, throttle
from .callers import Caller
from .problems import invalid, reauthenticate, refused


def prove_password(caller: Caller, user: User, password: str, pointer: str = "/own_password") -> None:
    """Check a user's own password. Raise 422 at `pointer`, and 429 after too many attempts.

    Call it outside of transactions: a refusal would roll the count of attempts back.
    """
    throttle.own_password(user.pk)
    if not user.check_password(password):
        failed_sign_ins.count(user.get_username(), caller.address, "")
        raise invalid(pointer, "wrong_password")
    throttle.own_password_was_right(user.pk)


def check_grants_access(caller: Caller, user: User, fields: dict) -> None:
    """Check that the caller may set a password, grant administrator rights or reactivate an account.

    Each grants access, as creating a token does. So a token needs the scope for that (a stolen one could otherwise
    leave an account behind that outlives it), and a session its password again.
    """
    raised = fields.get("admin") is True and not user.is_superuser
    gives = bool(fields.get("password")) or raised or (fields.get("active") is True and not user.is_active)
    lowered = fields.get("admin") is False and user.is_superuser
    if gives and not caller.may("tokens"):
        raise refused("forbidden.token_grants_access")
    if (gives or lowered) and not caller.is_fresh:
        raise reauthenticate()
