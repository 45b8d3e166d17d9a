"""Who watches, known for all of them together, so that a hundred tabs cost the database what one costs.

Whoever watches asks again and again. Each is recognised the ordinary way once. From then on one look a second at all of
their sessions, tokens, accounts and roles says whether any of it has changed; who has changed is recognised anew, or
refused. So whoever was signed out, shut out or given other roles is known as that a second later.
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

REFRESH_INTERVAL = 1.0  # seconds between two looks
FORGET_AFTER = 15.0  # seconds after which somebody who asks for nothing is not looked after any more


@dataclass(eq=False, slots=True)
class CachedCaller:
    """Somebody who was recognised, and what the rows said then. `session` or the caller's token is what was shown."""

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
        self._lock = threading.Lock()  # of what is known; never held while the database is asked
        self._looking = threading.Lock()
        self._looked = 0.0

    def caller_of(self, request: HttpRequest) -> Caller | None:
        """As `access.authentication.caller_of`, and without a statement where a session was seen lately."""
        session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        if not session or "Authorization" in request.headers:
            return authenticate(request)
        self._look()
        with self._lock:
            if one := self._known.get((session, None)):
                one.last_used = time.monotonic()
                return one.caller
        who = authenticate(request)
        if who is not None:
            self.remember(request, who)
        return who

    def remember(self, request: HttpRequest, who: Caller) -> CachedCaller:
        """Looks after somebody from now on, who was recognised by this request; `still` says until when."""
        session = "" if who.token_id else request.session.session_key or ""
        one = CachedCaller(who, session)
        with self._lock:
            before = self._known.get(one.key)
            if before and before.caller.permission_key == who.permission_key:
                before.last_used = time.monotonic()
                return before
        one.state = _states([one]).get(one.key, ())
        # What the rows say now is what the caller was recognised by, or it is forgotten at once.
        if _agrees(one) and (who.token_id or get_user(request).pk == who.user_id):
            with self._lock:
                self._known[one.key] = one
        return one

    def is_current(self, one: CachedCaller) -> bool:
        """Whether somebody is still who they were, a second ago at most."""
        one.last_used = time.monotonic()
        self._look()
        with self._lock:
            return self._known.get(one.key) is one

    def _look(self) -> None:
        if time.monotonic() - self._looked < REFRESH_INTERVAL:
            return
        with self._looking:
            now = time.monotonic()
            if now - self._looked < REFRESH_INTERVAL:
                return  # somebody else has looked meanwhile
            self._looked = now
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
    """{key: what was shown, the account, its roles, whether there is any team}, without those that are good no more.

    Three or four statements.
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
