"""What many tabs are shown is rendered once: the part of a page that changes, for all who may see and do the same.

A tab says up to which event it was told (`seen`). It is given what was rendered from rows at least as new as that, and
not more than a moment ago; who comes while that is being rendered waits for it. Whoever renders does so for nobody in
particular: the view is given a caller without a name and a request without a session, so there is nothing of one viewer
that another could be shown. What is each viewer's own, CSRF token and form's key, is put in last.
"""

import secrets
import threading
import time
import uuid
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.utils import timezone
from django.utils.translation import get_language

from access.callers import Caller
from access.problems import Problem
from microservice.event_stream import newest

FRESH = 1.0  # seconds for which it is shown to those who come later
LONGEST = 30.0  # seconds that one waits for another's rendering
# What stands for each viewer's own until the end. Nobody outside this process ever sees them, so no text can hold them.
TOKEN, KEY = secrets.token_hex(32), secrets.token_hex(18)


class Anybody(HttpRequest):
    """The same question, asked by nobody in particular: no cookie, no session, no user."""

    def __init__(self, request: HttpRequest):
        super().__init__()
        self.method, self.path, self.path_info = "GET", request.path, request.path_info
        self.META = {"HTTP_HX_REQUEST": "true"}
        asked = request.GET.copy()
        asked.pop("seen", None)
        self.GET = asked  # type: ignore[assignment]


@dataclass(eq=False, slots=True)
class Rendered:
    """`newest`: the newest event when it was begun. Once it has `ended`, `outcome` is there, unless it failed."""

    newest: int = -1
    ended: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)
    outcome: HttpResponse | Problem | None = None

    def serves(self, seen: int) -> bool:
        """Whether it shows all that somebody was told of, which alone counts for who has waited for it."""
        return self.outcome is not None and self.newest >= seen

    @property
    def fresh(self) -> bool:
        return not self.over.is_set() or time.monotonic() - self.ended < FRESH


class Fragments:
    """What was rendered within the last moment."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Rendered] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, seen: int, render: Callable[[], HttpResponse]) -> HttpResponse:
        """What `render` gives, or gave to another who asked the same; raises the Problem that it raised."""
        while True:
            one, own = self._place(key, seen)
            if own:
                self._fill(one, render)
            elif not one.over.wait(LONGEST):
                return render()
            outcome = one.outcome
            if outcome is not None and (own or one.serves(seen)):
                if isinstance(outcome, Problem):
                    raise outcome
                return outcome

    def _place(self, key: Hashable, seen: int) -> tuple[Rendered, bool]:
        """What is there or being made, or a place for what the caller makes now."""
        with self._lock:
            one = self._kept.get(key)
            if one and one.fresh and (one.serves(seen) or not one.over.is_set()):
                return one, False
            self._kept = {name: kept for name, kept in self._kept.items() if kept.fresh}
            self._kept[key] = one = Rendered()
            return one, True

    def _fill(self, one: Rendered, render: Callable[[], HttpResponse]) -> None:
        try:
            one.newest = newest()  # before the rows are read
            one.outcome = render()
        except Problem as problem:
            one.outcome = problem
        finally:
            one.ended = time.monotonic()
            one.over.set()


_fragments = Fragments()


def answer(request: HttpRequest, caller: Caller, view: Callable[[HttpRequest, Caller], HttpResponse]) -> HttpResponse:
    """The fragment that `view` renders, for this caller and whoever stands the same."""
    asked = request.GET.get("seen", "")
    plain = Anybody(request)
    key = (request.path, plain.GET.urlencode(), caller.standing, get_language(), timezone.get_current_timezone_name())
    seen = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else 0
    return _own(request, _fragments.get(key, seen, lambda: view(plain, caller.nameless())))


def own(request: HttpRequest) -> dict[str, str]:
    """For templates: a key for the forms (console/once.py), and what stands for key and token where nobody asks."""
    return {"key": KEY, "csrf_token": TOKEN} if isinstance(request, Anybody) else {"key": str(uuid.uuid4())}


def _own(request: HttpRequest, shared: HttpResponse) -> HttpResponse:
    """A copy with what is this viewer's own."""
    body = shared.content
    if TOKEN.encode() in body:
        body = body.replace(TOKEN.encode(), get_token(request).encode())
    body = body.replace(KEY.encode(), str(uuid.uuid4()).encode())
    return HttpResponse(body, status=shared.status_code, headers=dict(shared.headers))
