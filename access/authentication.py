"""Authenticate a request: by a bearer token, or by a browser session with CSRF. Only here rights are given."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone

from . import security_log, throttle, token_use
from .callers import PERSONAL, SCOPES, Caller, granted
from .client_ip import client_address
from .memberships import roles_of
from .models import Token
from .permissions import Rights
from .problems import refused, unauthorized
from .request_id import request_id_of
from .sessions import agent_of, is_user_action, session_of
from .tokens import digest_of

log = logging.getLogger(__name__)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
LAST_USED_INTERVAL = timedelta(minutes=1)


def rights_of(user: AbstractBaseUser, ceiling: Iterable[str] = SCOPES) -> Rights | None:
    """Return what a user may do by their roles, within `ceiling`; None for an administrator. At most one query."""
    if getattr(user, "is_superuser", False) and user.is_active:
        return None
    if not user.is_active:
        return Rights({}, frozenset(), True)
    roles, any_team = roles_of([user.pk])
    return Rights(roles.get(user.pk, {}), frozenset(ceiling), any_team)


def rights_of_all(users: Iterable[AbstractBaseUser]) -> dict[int, Rights | None]:
    """Return the same of several users, by their ids. One query."""
    known = {user.pk: user for user in users}
    roles, any_team = roles_of(list(known))
    every, nothing = frozenset(SCOPES), frozenset[str]()
    return {
        pk: None
        if getattr(user, "is_superuser", False) and user.is_active
        else Rights(roles.get(pk, {}) if user.is_active else {}, every if user.is_active else nothing, any_team)
        for pk, user in known.items()
    }


def scopes_of(user: AbstractBaseUser) -> frozenset[str]:
    """Return every right that a user has on anything."""
    rights = rights_of(user)
    return frozenset(SCOPES) if rights is None else rights.anywhere | PERSONAL


def caller_of(request: HttpRequest) -> Caller | None:
    """Return the caller, or None for an anonymous request. Kept as `request.known`, for the log.

    Raise a Problem: 401 for a token that is unknown, expired or revoked, 429 after too many of those, 403 for a session
    without its CSRF token on an unsafe method. At most three queries, and one write a minute.
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    caller = _by_token(request, value.strip()) if scheme.lower() == "bearer" else _by_session(request)
    request.known = caller  # type: ignore[attr-defined]
    return caller


def _by_session(request: HttpRequest) -> Caller | None:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    if request.method not in SAFE_METHODS:
        _check_csrf(request)
    session = session_of(request)
    if session.is_seen_stale and is_user_action(request):
        _note(session.update_seen)
    return replace(
        acting_as(user, None),
        session_id=session.info.row_id,
        is_fresh=session.is_fresh,
        address=client_address(request),
        request_id=request_id_of(request),
    )


def _by_token(request: HttpRequest, value: str) -> Caller:
    now, address = timezone.now(), client_address(request)
    token = Token.objects.select_related("user").filter(digest=digest_of(value)).first()
    if (reason := _refusal_reason(token, now)) or token is None:
        _log_refused(token, reason, address)
        throttle.wrong_token(address)
        raise unauthorized("unauthorized.token")
    caller = replace(acting_as(token.user, token), address=address, request_id=request_id_of(request))
    is_use_due = token.last_used is None or token.last_used < now - LAST_USED_INTERVAL
    is_address_due = token_use.is_due(token, address)
    if is_use_due or is_address_due:
        _note(lambda: _note_use(token, caller, agent_of(request) if is_address_due else None, now))
    return caller


def acting_as(user: AbstractBaseUser, token: Token | None) -> Caller:
    """Return the caller that a user is by a token, or without one, with the rights of now. At most two queries."""
    if token is None:
        rights = rights_of(user)
        scopes = frozenset(SCOPES) if rights is None else rights.on_unowned | PERSONAL
        return Caller(name=user.get_username(), user_id=user.pk, rights=rights, scopes=scopes)
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
    )


def _refusal_reason(token: Token | None, now: datetime) -> str:
    """Return why a token is refused, for the log only, not for the client. "" for a valid token."""
    if token is None:
        return "unknown"
    if token.revoked:
        return "revoked"
    if token.expires and token.expires <= now:
        return "expired"
    return "" if token.user.is_active else "account deactivated"


def _log_refused(token: Token | None, reason: str, address: str) -> None:
    owner = Caller(name="", address=address)
    if token is not None:
        owner = Caller(name=token.user.get_username(), token_id=token.pk, token_name=token.name, address=address)
    security_log.log_event("token refused", owner, logging.WARNING, reason=reason)


def _note(write: Callable[[], None]) -> None:
    """Write something beside a request. A long transaction of another writer is no reason to refuse a reader."""
    try:
        with transaction.atomic():
            write()
    except DatabaseError as error:
        log.warning("the last use of a token or session could not be saved: %s", type(error).__name__)


def _note_use(token: Token, caller: Caller, agent: str | None, now: datetime) -> None:
    """Save when the token was last used and, with `agent`, from where."""
    is_due = Q(last_used=None) | Q(last_used__lt=now - LAST_USED_INTERVAL)
    Token.objects.filter(is_due, pk=token.pk).update(last_used=now)
    if agent is not None:
        token_use.record_use(token, caller, agent)


def _check_csrf(request: HttpRequest) -> None:
    check = CsrfViewMiddleware(lambda _: None)  # type: ignore[arg-type]
    check.process_request(request)
    # A form with files is not read before its sender is known to be allowed to send it: its token is in the header.
    method, unread = request.method, request.content_type == "multipart/form-data" and not hasattr(request, "_post")
    request.method = "PUT" if unread else method
    try:
        refusal = check.process_view(request, _no_view, (), {})
    finally:
        request.method = method
    if refusal is not None:
        raise refused("forbidden.csrf", cookie=settings.CSRF_COOKIE_NAME)


def _no_view(request: HttpRequest) -> HttpResponse:
    """Stand in for the view: the API's views are exempt from the middleware, because they are checked here."""
    raise NotImplementedError
