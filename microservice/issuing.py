"""Tokens given out and taken back: nobody gives a right, a service or a time that they have not themselves."""
from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from access.callers import SCOPES, Caller
from access.models import Token
from access.problems import forbidden, not_found
from access.tokens import make_token

from . import catalog
from .history import record


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
    caller: Caller, name: str, scopes: Iterable[str], services: Iterable[int | str] = (),
    expires: datetime | None = None,
) -> tuple[Token, str]:
    """A token for the caller, and its text, which nothing can show again. `services`: ids or names; none: all.

    Raises a Problem: 403 for what the caller has not, 404 for a service that is not seen, 422 for a wrong field.
    """
    wanted = list(scopes)
    lacking = sorted({scope for scope in wanted if scope in SCOPES and not caller.might(scope)})
    if lacking:
        raise forbidden(f"You cannot give a right that you do not have: {', '.join(lacking)}.")
    named = {catalog.find_service(caller, which).pk for which in services} or caller.services
    user = get_user_model().objects.get(pk=caller.user_id or 0)
    row, text = make_token(
        user, name, wanted, services=named, expires=_within(caller, expires), created_by=caller.name
    )
    record(caller, "create", "token", row, after={"scopes": row.scopes, "services": row.services})
    return row, text


@transaction.atomic
def revoke(caller: Caller, number: int) -> Token:
    """Takes a token back, at once. 404 for one that the caller does not see."""
    row = find(caller, number)
    beyond = [scope for scope in row.scopes if not caller.might(scope)]
    if caller.token_id not in (None, row.pk) and beyond:
        raise forbidden(f"A token takes back none that may do more than itself: {', '.join(beyond)}.")
    if Token.objects.filter(pk=row.pk, revoked=None).update(revoked=timezone.now()):
        record(caller, "delete", "token", row)
    return row


def _within(caller: Caller, expires: datetime | None) -> datetime | None:
    """A token that was made with a token ends with it at the latest."""
    own = Token.objects.filter(pk=caller.token_id or 0).values_list("expires", flat=True).first()
    if own is None:
        return expires
    if expires is not None and expires > own:
        raise forbidden("A token cannot give a token that lives longer than itself.", f"Name an end before {own}.")
    return expires or own
