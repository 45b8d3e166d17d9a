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
            if one := self._known.get((session, None)):
                one.last_used = time.monotonic()
                return one.caller
        who = authenticate(request)
        if who is not None:
            self.remember(request, who)
        return who

    def remember(self, request: HttpRequest, who: Caller) -> CachedCaller:
        """Cache a caller that this request authenticated. `is_current` says how long that holds."""
        session = "" if who.token_id else request.session.session_key or ""
        one = CachedCaller(who, session)
        with self._lock:
            before = self._known.get(one.key)
            if before and before.caller.permission_key == who.permission_key:
                before.last_used = time.monotonic()
                return before
        one.state = _states([one]).get(one.key, ())
        # Cached only where the rows still are what the caller was authenticated by.
        if _agrees(one) and (who.token_id or get_user(request).pk == who.user_id):
            with self._lock:
                self._known[one.key] = one
        return one

    def is_current(self, one: CachedCaller) -> bool:
        """Return whether a cached caller still holds, a second ago at most."""
        one.last_used = time.monotonic()
        self._refresh()
        with self._lock:
            return self._known.get(one.key) is one

    def _refresh(self) -> None:
        if time.monotonic() - self._refreshed < REFRESH_INTERVAL:
            return
        with self._refreshing:
            now = time.monotonic()
            if now - self._refreshed < REFRESH_INTERVAL:
                return  # another thread has refreshed meanwhile
            self._refreshed = now
            with self._lock:
                self._known = {key: one for key, one in self._known.items() if now - one.last_used < FORGET_AFTER}
                known = list(self._known.values())
            states = _states(known)
            with self._lock:
                for one in known:
                    if states.get(one.key) != one.state and self._known.get(one.key) is one:
                        del self._known[one.key]


def _agrees(one: CachedCaller) -> bool:
    if not one.state:
        return False
    rights, (_, (*_, superuser), roles, any_team) = one.caller.rights, one.state
    return superuser if rights is None else not superuser and (roles, any_team) == (rights.roles, rights.any_team)


def _states(known: Iterable[CachedCaller]) -> dict[tuple, tuple]:
    """Return {key: (credential, account, roles, whether there is any team)} of those that are still valid.

    Three or four queries.
    """
    now, known = timezone.now(), list(known)
    sessions = {digest_of(one.session): one.session for one in known if one.session}
    tokens = [one.caller.token_id for one in known if one.caller.token_id]
    people = {one.caller.user_id or 0 for one in known}
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
        one.key: (shown[one.key], accounts[user], roles.get(user, {}), any_team)
        for one in known
        if one.key in shown and (user := one.caller.user_id or 0) in accounts
    }


cache = SessionCache()
