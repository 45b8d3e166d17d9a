"""Who is asking: a bearer token, or a browser session with CSRF. The one place that knows what each may do."""
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone

from access import throttle
from access.address import client_address
from access.callers import SCOPES, Caller
from access.models import Membership, Token
from access.problems import Problem, forbidden
from access.request_id import request_id_of
from access.rights import Rights
from access.tokens import digest_of

log = logging.getLogger(__name__)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
LAST_USED_EVERY = timedelta(minutes=1)
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="deployer"'}


def rights_of(user: AbstractBaseUser, ceiling: Iterable[str] = SCOPES) -> Rights | None:
    """What a person may do by their roles, within `ceiling`; None for an administrator. At most one query."""
    if getattr(user, "is_superuser", False) and user.is_active:
        return None
    roles = dict(Membership.objects.filter(user=user.pk).values_list("team_id", "role")) if user.is_active else {}
    return Rights(roles, _whole(ceiling) if user.is_active else frozenset())


def scopes_of(user: AbstractBaseUser) -> frozenset[str]:
    """Every right that a person has for anything at all."""
    rights = rights_of(user)
    return frozenset(SCOPES) if rights is None else rights.anywhere


def _whole(scopes: Iterable[str]) -> frozenset[str]:
    """admin includes all others."""
    given = frozenset(scopes)
    return frozenset(SCOPES) if "admin" in given else given


def caller_of(request: HttpRequest) -> Caller | None:
    """The caller, or None where nobody is named.

    Raises a Problem: 401 for a token that is wrong, expired or revoked, 429 after too many of those,
    403 for a session without its CSRF token on an unsafe method. At most three queries, and one write a minute.
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _by_token(request, value.strip())
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    if request.method not in SAFE_METHODS:
        _check_csrf(request)
    rights = rights_of(user)
    return Caller(
        name=user.get_username(), user_id=user.pk, rights=rights,
        scopes=frozenset(SCOPES) if rights is None else rights.on_nobodys,
        address=client_address(request), request_id=request_id_of(request),
    )


def _by_token(request: HttpRequest, value: str) -> Caller:
    now, address = timezone.now(), client_address(request)
    token = Token.objects.select_related("user").filter(digest=digest_of(value)).first()
    if token is None or token.revoked or not token.user.is_active or (token.expires and token.expires <= now):
        throttle.wrong_token(address)
        raise unauthorized("The token is wrong, has expired or was taken back.")
    _mark_used(token, now)
    rights = rights_of(token.user, token.scopes)
    return Caller(
        name=token.user.get_username(), user_id=token.user_id, token_id=token.pk, rights=rights,
        scopes=frozenset(token.scopes) if rights is None else rights.on_nobodys, services=frozenset(token.services),
        address=address, request_id=request_id_of(request),
    )


def _mark_used(token: Token, now: datetime) -> None:
    before = now - LAST_USED_EVERY
    if token.last_used is None or token.last_used < before:
        unmarked = Q(last_used=None) | Q(last_used__lt=before)
        try:
            with transaction.atomic():
                Token.objects.filter(unmarked, pk=token.pk).update(last_used=now)
        except DatabaseError:  # somebody writes for long: no reason to refuse who only reads
            log.warning("a token's last use could not be noted")


def _check_csrf(request: HttpRequest) -> None:
    check = CsrfViewMiddleware(lambda _: None)  # type: ignore[arg-type]
    check.process_request(request)
    # A form with files is not read before it is known whether its sender may send any: its token is in the header.
    method, unread = request.method, request.content_type == "multipart/form-data" and not hasattr(request, "_post")
    request.method = "PUT" if unread else method
    try:
        refusal = check.process_view(request, _unexempted, (), {})
    finally:
        request.method = method
    if refusal is not None:
        raise forbidden(
            "The request carries a session but no valid CSRF token.",
            "Send the csrftoken cookie's value as X-CSRFToken, or use a bearer token.",
        )


def _unexempted(request: HttpRequest) -> HttpResponse:
    """Stands for the view: the API's own views are exempt from the middleware because they are checked here."""
    raise NotImplementedError


def unauthorized(detail: str = "Nobody is signed in.") -> Problem:
    return Problem(401, "unauthorized", detail, "Send Authorization: Bearer <token>, or sign in.", headers=CHALLENGE)
