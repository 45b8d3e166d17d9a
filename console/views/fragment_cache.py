"""A cache of live fragments: the part of a page that changes is rendered once for all callers with equal permissions.

A tab names the newest event that it has seen (`seen`). It gets a fragment rendered from rows at least that new and at
most MAX_AGE ago; requests that arrive while it is being rendered wait for it. The view is called with an anonymous
caller and a request without a session, so that a fragment contains nothing of one viewer. Each viewer's own CSRF token
and form key replace placeholders last (see docs/decisions/0060-placeholders-in-shared-fragments.md).
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
from microservice.stream_events import newest
from runtime.ids import parse_number

MAX_AGE = 1.0  # seconds
RENDER_TIMEOUT = 30.0  # seconds to wait for another request's rendering
# Placeholders. They are random and never leave this process, so that no text can contain them.
TOKEN_PLACEHOLDER, KEY_PLACEHOLDER = secrets.token_hex(32), secrets.token_hex(18)


class AnonymousRequest(HttpRequest):
    """The same request without cookies, session and user."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__()
        self.method, self.path, self.path_info = "GET", request.path, request.path_info
        self.META = {"HTTP_HX_REQUEST": "true"}
        params = request.GET.copy()
        params.pop("seen", None)
        self.GET = params  # type: ignore[assignment]


@dataclass(eq=False, slots=True)
class Rendering:
    """`newest`: the newest event at its start. `outcome` is set when it is `done`, unless it failed."""

    newest: int = -1
    ended: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)
    outcome: HttpResponse | Problem | None = None

    def serves(self, seen: int) -> bool:
        """Return whether it shows every event up to `seen`."""
        return self.outcome is not None and self.newest >= seen

    @property
    def is_fresh(self) -> bool:
        return not self.done.is_set() or time.monotonic() - self.ended < MAX_AGE


class FragmentCache:
    """The fragments rendered within the last MAX_AGE."""

    def __init__(self) -> None:
        self._renderings: dict[Hashable, Rendering] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, seen: int, render: Callable[[], HttpResponse]) -> HttpResponse:
        """Return what `render` returns, or returned for another request with this key. Raise the Problem it raised."""
        while True:
            rendering, is_own = self._find_or_add(key, seen)
            if is_own:
                self._run(rendering, render)
            elif not rendering.done.wait(RENDER_TIMEOUT):
                return render()
            outcome = rendering.outcome
            if outcome is not None and (is_own or rendering.serves(seen)):
                if isinstance(outcome, Problem):
                    raise outcome
                return outcome

    def _find_or_add(self, key: Hashable, seen: int) -> tuple[Rendering, bool]:
        """Return a rendering that is usable or under way, or a new one that the caller runs (True)."""
        with self._lock:
            rendering = self._renderings.get(key)
            if rendering and rendering.is_fresh and (rendering.serves(seen) or not rendering.done.is_set()):
                return rendering, False
            self._renderings = {key: rendering for key, rendering in self._renderings.items() if rendering.is_fresh}
            self._renderings[key] = rendering = Rendering()
            return rendering, True

    def _run(self, rendering: Rendering, render: Callable[[], HttpResponse]) -> None:
        try:
            rendering.newest = newest()  # before the rows are read
            rendering.outcome = render()
        except Problem as problem:
            rendering.outcome = problem
        finally:
            rendering.ended = time.monotonic()
            rendering.done.set()


_cache = FragmentCache()


def respond(request: HttpRequest, caller: Caller, view: Callable[[HttpRequest, Caller], HttpResponse]) -> HttpResponse:
    """Return the fragment that `view` renders, for this caller and all with the same permissions."""
    text = request.GET.get("seen", "")
    anonymous = AnonymousRequest(request)
    key = (
        request.path,
        anonymous.GET.urlencode(),
        caller.permission_key,
        get_language(),
        timezone.get_current_timezone_name(),
    )
    seen = parse_number(text) or 0
    return _personalized(request, _cache.get(key, seen, lambda: view(anonymous, caller.anonymous())))


def form_values(request: HttpRequest) -> dict[str, str]:
    """Provide a key for forms (console/once.py); in a shared fragment, placeholders for key and token."""
    return (
        {"key": KEY_PLACEHOLDER, "csrf_token": TOKEN_PLACEHOLDER}
        if isinstance(request, AnonymousRequest)
        else {"key": str(uuid.uuid4())}
    )


def _personalized(request: HttpRequest, shared: HttpResponse) -> HttpResponse:
    """Return a copy with this viewer's CSRF token and form key."""
    body = shared.content
    if TOKEN_PLACEHOLDER.encode() in body:
        body = body.replace(TOKEN_PLACEHOLDER.encode(), get_token(request).encode())
    body = body.replace(KEY_PLACEHOLDER.encode(), str(uuid.uuid4()).encode())
    return HttpResponse(body, status=shared.status_code, headers=dict(shared.headers))
