"""What makes a way in, and what that takes: the own password once more, and for a token a scope of its own."""

from django.contrib.auth.models import User

from . import failed_sign_ins, throttle
from .callers import Caller
from .problems import forbidden, invalid, reauthenticate


def prove_password(caller: Caller, user: User, password: str, pointer: str = "/own_password") -> None:
    """Whether somebody knows their own password. Guesses have a count of their own, so this is called
    outside of any transaction that a refusal rolls back. 422 at `pointer`, 429."""
    throttle.own_password(user.pk)
    if not user.check_password(password):
        failed_sign_ins.count(user.get_username(), caller.address, "")
        raise invalid(pointer, "wrong_password")
    throttle.own_password_was_right(user.pk)


def check_grants_access(caller: Caller, user: User, fields: dict) -> None:
    """Who gives a password, an administrator's rights or an account back makes a way in, as who makes a token does.

    So a token needs the scope for that (a stolen one could otherwise leave an account behind that outlives it), and a
    session its password once more."""
    raised = fields.get("admin") is True and not user.is_superuser
    gives = bool(fields.get("password")) or raised or (fields.get("active") is True and not user.is_active)
    lowered = fields.get("admin") is False and user.is_superuser
    if gives and not caller.may("tokens"):
        raise forbidden("forbidden.token_grants_access")
    if (gives or lowered) and not caller.is_fresh:
        raise reauthenticate()
