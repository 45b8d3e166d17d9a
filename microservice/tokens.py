"""Tokens given out and taken back: nobody gives a right, a service or a time that they have not themselves."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from access import accounts, service_accounts, sessions, tokens
from access.callers import SCOPES, Caller
from access.models import Token
from access.problems import forbidden, invalid, not_found, reauthenticate, unauthorized
from audit.history import record, record_rows, row_of

from . import catalog

LONGEST = timedelta(days=366)  # an end that is further away than this counts as none


class End(Enum):
    """The end of a token for which nobody named one: after TOKEN_LIFETIME_DAYS."""

    USUAL = "usual"


def tokens_of(caller: Caller) -> QuerySet[Token]:
    """The caller's own that are not taken back, an admin's: everybody's. A token for some services sees only itself."""
    found = Token.objects.filter(revoked=None)
    if caller.services:
        return found.filter(pk=caller.token_id or 0)
    return found if caller.may("admin") else found.filter(user=caller.user_id)


def find(caller: Caller, number: int) -> Token:
    found = tokens_of(caller).select_related("user").filter(pk=number).first()
    if found is None:
        raise not_found("token")
    return found


@transaction.atomic
def issue(
    caller: Caller,
    name: str,
    scopes: Iterable[str],
    services: Iterable[int | str] = (),
    expires: datetime | End | None = End.USUAL,
    user: int | str | None = None,
) -> tuple[Token, str]:
    """A token for the caller, and its text, which nothing can show again. `services`: ids or names; none: all.

    `expires` None: never. `user`: the service account that it is for, which only an administrator may name. Raises a
    Problem: 403 for what the caller has not, 404 for a service that is not seen, 422 for a wrong field.
    """
    if not caller.may("tokens"):
        raise forbidden("A token makes tokens only with the scope tokens.", "Make it in the console.")
    if not caller.is_fresh:
        raise reauthenticate()
    if caller.session_id and not sessions.hold(caller.session_id):
        raise unauthorized("The session has ended.")
    wanted = list(scopes)
    lacking = sorted({scope for scope in wanted if scope in SCOPES and not caller.might(scope)})
    if lacking:
        raise forbidden(f"You cannot give a right that you do not have: {', '.join(lacking)}.")
    named = {catalog.find_service(caller, which).pk for which in services} or caller.services
    owner = _owner(caller, user)
    row, text = tokens.make_token(
        owner,
        name,
        wanted,
        services=named,
        expires=_end(caller, owner, expires),
        parent=caller.token_id,
        created_by=caller.name,
    )
    record(caller, "create", "token", row, after=told(row))
    return row, text


@transaction.atomic
def revoke(caller: Caller, number: int) -> Token:
    """Takes a token back at once, with all that were made with it. 404 for one that the caller does not see.

    Every token may take itself back: who finds one that was lost can end it.
    """
    row = find(caller, number)
    if row.pk != caller.token_id:
        if not caller.may("tokens"):
            raise forbidden("A token takes back others only with the scope tokens.", "Do it in the console.")
        if not caller.is_person and (beyond := [scope for scope in row.scopes if not caller.might(scope)]):
            raise forbidden(f"A token takes back none that may do more than itself: {', '.join(beyond)}.")
    record_ended(caller, tokens.revoke([row.pk]))
    return row


def record_ended(caller: Caller, ended: Iterable[Token], reason: str = "") -> None:
    """A row of the history for each token that was ended."""
    record_rows(row_of(caller, "delete", "token", row, None, {"user_id": row.user_id}, reason) for row in ended)


def told(row: Token) -> dict:
    """What the history keeps of a new token."""
    end = row.expires.isoformat() if row.expires else None
    return {
        "scopes": row.scopes,
        "services": row.services,
        "user_id": row.user_id,
        "expires": end,
        "parent": row.parent_id,
    }


def _owner(caller: Caller, user: int | str | None) -> User:
    if user is None or user in (caller.user_id, caller.name):
        return User.objects.get(pk=caller.user_id or 0)
    if not caller.may("admin"):  # before it is looked for: others do not learn which accounts there are
        raise forbidden("Only administrators make tokens for a service account.")
    found = accounts.lookup_user(User.objects.all(), user, "/user")
    if found.pk != caller.user_id and not service_accounts.is_service(found):
        raise invalid("/user", "must be a service account: people make their own tokens")
    return found


def _end(caller: Caller, owner: User, asked: datetime | End | None) -> datetime | None:
    """When the token ends. One that was made with a token ends with that one at the latest."""
    own = Token.objects.filter(pk=caller.token_id or 0).values_list("expires", flat=True).first()
    if own is not None:
        if isinstance(asked, datetime) and asked > own:
            raise forbidden("A token cannot give a token that lives longer than itself.", f"Name an end before {own}.")
        return asked if isinstance(asked, datetime) else min(own, tokens.usual_end()) if asked is End.USUAL else own
    if asked is End.USUAL:
        return tokens.usual_end()
    endless = asked is None or asked > timezone.now() + LONGEST
    if endless and not caller.may("admin") and not service_accounts.is_service(owner):
        raise forbidden(
            "Only administrators and service accounts have tokens that last longer than a year.",
            f"Name an end within {LONGEST.days} days.",
        )
    return asked
