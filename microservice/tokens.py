"""Creates and revokes tokens. A caller cannot grant rights, services or time that it does not have itself."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from access import accounts, service_accounts, sessions, tokens
from access.callers import SCOPES, Caller
from access.models import Token
from access.problems import invalid, not_found, reauthenticate, refused, unauthorized
from audit.history import record, record_rows, row_of

from . import catalog

MAX_LIFETIME = timedelta(days=366)  # a token that lives longer counts as endless


class End(Enum):
    """The end of a token that names none: after TOKEN_LIFETIME_DAYS."""

    USUAL = "usual"


def tokens_of(caller: Caller) -> QuerySet[Token]:
    """Return the caller's own tokens that are not revoked, for an administrator those of all users.

    A token for named services sees only itself.
    """
    rows = Token.objects.filter(revoked=None)
    if caller.services:
        return rows.filter(pk=caller.token_id or 0)
    return rows if caller.may("admin") else rows.filter(user=caller.user_id)


def find(caller: Caller, number: int) -> Token:
    """Return a token by its id. Raise 404 where the caller does not see it."""
    row = tokens_of(caller).select_related("user").filter(pk=number).first()
    if row is None:
        raise not_found("token")
    return row


@transaction.atomic
def issue(
    caller: Caller,
    name: str,
    scopes: Iterable[str],
    services: Iterable[int | str] = (),
    expires: datetime | End | None = End.USUAL,
    user: int | str | None = None,
) -> tuple[Token, str]:
    """Create a token for the caller; return it with its text, which cannot be shown again.

    `services`: ids or names, none: all. `expires`: None for never. `user`: the service account that it is for, which
    only an administrator may name. Raise 403 for what the caller does not have itself, 404 for a service that is not
    visible, 422 for an invalid field.
    """
    if not caller.may("tokens"):
        raise refused("forbidden.create_token")
    if not caller.is_fresh:
        raise reauthenticate()
    if caller.session_id and not sessions.keep_open(caller.session_id):
        raise unauthorized("unauthorized.session_ended")
    rights = list(scopes)
    lacking = sorted({scope for scope in rights if scope in SCOPES and not caller.may_anywhere(scope)})
    if lacking:
        raise refused("forbidden.grant", rights=lacking)
    service_ids = {catalog.find_service(caller, which).pk for which in services} or caller.services
    owner = _owner(caller, user)
    row, text = tokens.make_token(
        owner,
        name,
        rights,
        services=service_ids,
        expires=_end(caller, owner, expires),
        parent=caller.token_id,
        created_by=caller.name,
    )
    record(caller, "create", "token", row, after=as_json(row))
    return row, text


@transaction.atomic
def revoke(caller: Caller, number: int) -> Token:
    """Revoke a token at once, with all tokens that were created with it. Raise 404 where the caller does not see it.

    Every token may revoke itself: the finder of a lost one can end it.
    """
    row = find(caller, number)
    if row.pk != caller.token_id:
        if not caller.may("tokens"):
            raise refused("forbidden.revoke_token")
        if not caller.is_person and (beyond := [scope for scope in row.scopes if not caller.may_anywhere(scope)]):
            raise refused("forbidden.revoke_stronger_token", rights=beyond)
    record_ended(caller, tokens.revoke([row.pk]))
    return row


def record_ended(caller: Caller, ended: Iterable[Token], reason: str = "") -> None:
    """Write a row of the history for each token that was ended."""
    record_rows(row_of(caller, "delete", "token", row, None, {"user_id": row.user_id}, reason) for row in ended)


def as_json(row: Token) -> dict[str, Any]:
    """Return what the history keeps of a new token."""
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
    if not caller.may("admin"):  # before the lookup: others must not learn which accounts exist
        raise refused("forbidden.token_for_account")
    account = accounts.lookup_user(User.objects.all(), user, "/user")
    if account.pk != caller.user_id and not service_accounts.is_service(account):
        raise invalid("/user", "not_a_service_account")
    return account


def _end(caller: Caller, owner: User, expires: datetime | End | None) -> datetime | None:
    """Return the end of the token. One that is created with a token ends with that one at the latest."""
    own_end = Token.objects.filter(pk=caller.token_id or 0).values_list("expires", flat=True).first()
    if own_end is not None:
        if isinstance(expires, datetime) and expires > own_end:
            raise refused("forbidden.token_outlives_parent", end=own_end)
        if isinstance(expires, datetime):
            return expires
        return min(own_end, tokens.default_expiry()) if expires is End.USUAL else own_end
    if expires is End.USUAL:
        return tokens.default_expiry()
    endless = expires is None or expires > timezone.now() + MAX_LIFETIME
    if endless and not caller.may("admin") and not service_accounts.is_service(owner):
        raise refused("forbidden.endless_token", days=MAX_LIFETIME.days)
    return expires
