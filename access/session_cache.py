"""Authenticate polling clients together, so that a hundred tabs cost the database as much as one.

Live pages and streams authenticate again and again. Each does so in the ordinary way once. From then on one check a
second of all their sessions, tokens, accounts and roles finds those that changed; these authenticate anew, or are
refused. So signing out, deactivation and changed roles take effect within a second.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from .authentication import caller_of as authenticate
from .callers import Caller
from .memberships import roles_of
from .models import Session, Token
from .sessions import digest_of, live

REFRESH_INTERVAL = 1.0  # seconds
FORGET_AFTER = 15.0  # seconds without a request


@dataclass(eq=False, slots=True)
class CachedCaller:
    """An authenticated caller, and what the rows were then. The credential is `session`, or the caller's token."""

    caller: Caller
    session: str
    state: tuple = ()
    last_used: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> tuple[str, int | None]:
        return self.session, self.caller.token_id


class SessionCache:
    def __init__(self) -> None:
        self._known: dict[tuple, CachedCaller] = {}
        self._lock = threading.Lock()  # of `_known`; never held during a query
        self._refreshing = threading.Lock()
        self._refreshed = 0.0

    def caller_of(self, request: HttpRequest) -> Caller | None:
        """Do as `authentication.caller_of`, without queries where the session was authenticated recently."""
        session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        if not session or "Authorization" in request.headers:
            return authenticate(request)
        self._refresh()
        with self._lock:
            if cached := self._known.get((session, None)):
                cached.last_used = time.monotonic()
                return cached.caller
        caller = authenticate(request)
        if caller is not None:
            self.remember(request, caller)
        return caller

    def remember(self, request: HttpRequest, caller: Caller) -> CachedCaller:
        """Cache a caller that this request authenticated. `is_current` says how long that holds."""
        session = "" if caller.token_id else request.session.session_key or ""
        cached = CachedCaller(caller, session)
        with self._lock:
            before = self._known.get(cached.key)
            if before and before.caller.permission_key == caller.permission_key:
                before.last_used = time.monotonic()
                return before
        cached.state = _states([cached]).get(cached.key, ())
        # Cached only where the rows still are what the caller was authenticated by.
        if _agrees(cached) and (caller.token_id or get_user(request).pk == caller.user_id):
            with self._lock:
                self._known[cached.key] = cached
        return cached

    def is_current(self, cached: CachedCaller) -> bool:
        """Return whether a cached caller still holds, a second ago at most."""
        cached.last_used = time.monotonic()
        self._refresh()
        with self._lock:
            return self._known.get(cached.key) is cached

    def _refresh(self) -> None:
        if time.monotonic() - self._refreshed < REFRESH_INTERVAL:
            return
        with self._refreshing:
            now = time.monotonic()
            if now - self._refreshed < REFRESH_INTERVAL:
                return  # another thread has refreshed meanwhile
            self._refreshed = now
            with self._lock:
                self._known = {
                    key: cached for key, cached in self._known.items() if now - cached.last_used < FORGET_AFTER
                }
                known = list(self._known.values())
            states = _states(known)
            with self._lock:
                for cached in known:
                    if states.get(cached.key) != cached.state and self._known.get(cached.key) is cached:
                        del self._known[cached.key]


def _agrees(cached: CachedCaller) -> bool:
    if not cached.state:
        return False
    rights, (_, (*_, superuser), roles, any_team) = cached.caller.rights, cached.state
    return superuser if rights is None else not superuser and (roles, any_team) == (rights.roles, rights.any_team)


def _states(known: Iterable[CachedCaller]) -> dict[tuple, tuple]:
    """Return {key: (credential, account, roles, whether there is any team)} of those that are still valid.

    Three or four queries.
    """
    now, known = timezone.now(), list(known)
    sessions = {digest_of(cached.session): cached.session for cached in known if cached.session}
    tokens = [cached.caller.token_id for cached in known if cached.caller.token_id]
    people = {cached.caller.user_id or 0 for cached in known}
    shown: dict[tuple, object] = {}
    if sessions:
        open_ones = Session.objects.order_by().filter(live(), digest__in=sessions)
        shown |= {(sessions[digest], None): data for digest, data in open_ones.values_list("digest", "data")}
    if tokens:
        good = Q(expires=None) | Q(expires__gt=now)
        good_ones = Token.objects.filter(good, pk__in=tokens, revoked=None)
        shown |= {("", pk): rest for pk, *rest in good_ones.values_list("pk", "scopes", "services")}
    users = get_user_model().objects.filter(pk__in=people, is_active=True)
    accounts = {pk: rest for pk, *rest in users.values_list("pk", "username", "password", "is_superuser")}
    roles, any_team = roles_of(people)
    return {
        cached.key: (shown[cached.key], accounts[user], roles.get(user, {}), any_team)
        for cached in known
        if cached.key in shown and (user := cached.caller.user_id or 0) in accounts
    }


cache = SessionCache()
