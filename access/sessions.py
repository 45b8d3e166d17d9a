"""Browser sessions (SESSION_ENGINE): rows with a user, an idle and an absolute limit, found by a hash of the cookie.

Everything that a request needs is in the one row that Django loads anyway. A session ends when its row is deleted.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from access.models import Session

from .client_ip import client_address

SEEN_INTERVAL = timedelta(minutes=1)
FRESH_FOR = timedelta(minutes=10)  # how long an entered password counts for sensitive actions
AGENT_LENGTH = 200


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def live() -> Q:
    """Select the sessions that have not expired: used recently, and not too old."""
    now = timezone.now()
    return Q(
        seen__gt=now - timedelta(seconds=settings.SESSION_IDLE_TIMEOUT),
        created__gt=now - timedelta(seconds=settings.SESSION_ABSOLUTE_TIMEOUT),
    )


def agent_of(request: HttpRequest) -> str:
    """Return the User-Agent as one printable line, shortened."""
    text = request.META.get("HTTP_USER_AGENT", "")[:AGENT_LENGTH]
    return "".join(char if char.isprintable() else " " for char in text).strip()


def is_user_action(request: HttpRequest) -> bool:
    """Return whether a user did something. A page that refreshes itself does not keep its session alive."""
    if request.method not in ("GET", "HEAD"):
        return True
    return "HX-Request" not in request.headers and "text/event-stream" not in request.headers.get("Accept", "")


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """The columns of a session beside its data. They stay when its key changes, except `row_id`."""

    row_id: int | None = None
    created: datetime = field(default_factory=timezone.now)
    seen: datetime = field(default_factory=timezone.now)
    proved: datetime | None = None
    address: str = ""
    agent: str = ""


class SessionStore(SessionBase):
    """A session whose key is only in the cookie. Named as Django's own, so that data signed by that can be read."""

    def __init__(self, session_key: str | None = None):
        super().__init__(session_key)
        self.info = SessionInfo()

    @property
    def digest(self) -> str:
        return digest_of(self.session_key or "")

    @property
    def is_fresh(self) -> bool:
        """Whether the password was entered within the last minutes. Loads the session."""
        self.keys()
        return self.info.proved is not None and timezone.now() - self.info.proved < FRESH_FOR

    def begin(self, request: HttpRequest) -> None:
        """Start the session of a user who has just signed in."""
        now = timezone.now()
        self.info = SessionInfo(None, now, now, now, client_address(request)[:64], agent_of(request))
        self.modified = True

    def confirm_password(self) -> None:
        """Note that the password was entered again."""
        self.info = replace(self.info, proved=timezone.now())
        Session.objects.filter(digest=self.digest).update(proved=self.info.proved)

    @property
    def is_seen_stale(self) -> bool:
        """Whether its last use was saved more than a minute ago. Loads the session."""
        self.keys()
        return self.session_key is not None and timezone.now() - self.info.seen >= SEEN_INTERVAL

    def update_seen(self) -> None:
        now = timezone.now()
        Session.objects.filter(digest=self.digest, seen__lte=now - SEEN_INTERVAL).update(seen=now)
        self.info = replace(self.info, seen=now)

    def load(self) -> dict:
        row = Session.objects.filter(live(), digest=self.digest).first() if self.session_key else None
        if row is None:
            self._session_key = None
            return {}
        self.info = SessionInfo(row.pk, row.created, row.seen, row.proved, row.address, row.agent)
        return self.decode(row.data)

    def exists(self, session_key: str) -> bool:
        return Session.objects.filter(digest=digest_of(session_key)).exists()

    def create(self) -> None:
        self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]
        self.save(must_create=True)
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Raise UpdateError where the session has ended meanwhile: a request in progress does not bring it back."""
        if self.session_key is None:
            self.create()
            return
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        number = data.get(SESSION_KEY)
        row = {
            "data": self.encode(data),
            "user_id": int(number) if number else None,
            "created": self.info.created,
            "proved": self.info.proved,
            "address": self.info.address,
            "agent": self.info.agent,
        }
        if not must_create:
            if not Session.objects.filter(digest=self.digest).update(**row):
                raise UpdateError
            return
        Session.objects.create(digest=self.digest, seen=self.info.seen, **row)

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            Session.objects.filter(digest=digest_of(key)).delete()

    def flush(self) -> None:
        super().flush()
        self.info = SessionInfo()

    @classmethod
    def clear_expired(cls) -> None:
        Session.objects.exclude(live()).delete()


def session_of(request: HttpRequest) -> SessionStore:
    """Return the request's session, as SESSION_ENGINE creates it."""
    return request.session  # type: ignore[return-value]


def keep_open(session_id: int) -> bool:
    """Lock a session until the end of the transaction. Return whether it still exists.

    So nothing is created in its name unseen by those who end it: they wait, and then see what was created.
    """
    return bool(Session.objects.filter(live(), pk=session_id).update(seen=timezone.now()))


def sessions_of(user_id: int) -> QuerySet[Session]:
    """Return a user's open sessions, the last used first."""
    return Session.objects.filter(live(), user=user_id).defer("data")


def end(user_id: int, session_id: int) -> bool:
    """End one of a user's sessions. Return whether there was one."""
    return bool(Session.objects.filter(user=user_id, pk=session_id).delete()[0])


def end_all(user_id: int, keep: str = "") -> int:
    """End all sessions of a user, except the one with the digest `keep`. Return how many ended."""
    return Session.objects.filter(user=user_id).exclude(digest=keep).delete()[0]
