"""Live events as text/event-stream: those since an id from the rows, then new ones from the broadcaster."""

import time
from collections.abc import Callable, Generator, Iterator

from django.db import Error
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from ninja import Query, Router

from access.problems import invalid, refused
from access.session_cache import CachedCaller
from access.session_cache import cache as session_cache
from asset import tenancy
from audit.events import FOR_ALL
from microservice import event_stream, stream_events
from microservice.status import DEPLOYMENT_ENDED
from runtime.db_connections import release_connection
from runtime.ids import parse_number

from .. import lookup
from ..auth import caller, needs
from ..schemas import base

router = Router()

KEEPALIVE = 10.0  # seconds without an event after which a comment is sent
RETRY = 2000  # milliseconds after which a browser reconnects
RIGHTS_INTERVAL = 2.0  # seconds between two checks of the caller's rights
STREAM = {"responses": {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}}
SINCE = Query(
    None, ge=0, le=2**63 - 1, description="The last id received; the header Last-Event-ID has the same meaning"
)


@router.get("/events", openapi_extra=STREAM, summary="Stream all events")
@needs("read")
def all_events(request: HttpRequest, last_event_id: int | None = SINCE) -> HttpResponseBase:
    """Stream every event that the caller may see, from now on or after the last id received.

    Changes without a deployment are included: the kinds `service`, `version`, `instance`, `host`,
    `environment` and `freeze`.
    """
    return _stream(request, _last_id(request, last_event_id), None)


@router.get("/deployments/{id}/events", openapi_extra=STREAM, summary="Stream the events of a deployment")
@needs("read")
def deployment_events(request: HttpRequest, id: base.PathId, last_event_id: int | None = SINCE) -> HttpResponseBase:
    """Stream the events of a deployment from the first, or after the last id received, until the deployment has ended.

    204 where it has ended and there is no event after that id: a browser then stops reconnecting.
    """
    deployment = lookup.find_deployment(caller(request), id)
    last_id = _last_id(request, last_event_id) or 0
    ended = deployment.status in DEPLOYMENT_ENDED
    if ended and not stream_events.read(last_id, id):
        return HttpResponse(status=204)
    return _stream(request, last_id, id, ended)


def _stream(
    request: HttpRequest, last_id: int | None, deployment_id: int | None, ended: bool = False
) -> HttpResponseBase:
    who = caller(request)

    def wants(item: stream_events.StreamEvent) -> bool:
        if item.kind == "host":
            mine = who.teams is None or tenancy.is_open(item.host_teams, who.teams)
            return deployment_id is None and who.sees_hosts and mine
        if item.kind in FOR_ALL:
            return deployment_id is None
        return deployment_id in (None, item.deployment_id) and who.sees(item.service_id, item.team_id)

    if last_id is None:
        last_id = stream_events.newest()
    try:
        subscriber = event_stream.broadcaster.join(wants, account=who.account)
    except event_stream.TooManyStreams:
        raise refused("no_stream_slot", headers={"Retry-After": "5"}) from None
    try:
        known = session_cache.remember(request, who)
    except BaseException:
        subscriber.close()
        raise
    stream = Stream(subscriber, wants, last_id, deployment_id, ended, lambda: still(known))
    response = StreamingHttpResponse(stream, content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-cache, no-store"
    response["X-Accel-Buffering"] = "no"
    request.META.pop("HTTP_ACCEPT_ENCODING", None)  # a compressor would delay events until it has enough of them
    release_connection()
    return response


class Stream:
    """The body of one answer. It subscribes before it reads the rows, so no event is missed; ids detect duplicates.

    A class instead of a generator: `close()` releases the slot also where no byte was ever read.
    """

    def __init__(
        self,
        subscriber: event_stream.Subscriber,
        wants: Callable[[stream_events.StreamEvent], bool],
        last_id: int,
        deployment_id: int | None,
        ended: bool,
        still_may: Callable[[], bool],
    ):
        self._subscriber, self._wants, self._last_id = subscriber, wants, last_id
        self._deployment_id, self._still_may = deployment_id, still_may
        self._ended = ended  # the deployment has ended: all remaining events are in the rows
        self._parts = self._all()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def close(self) -> None:
        self._parts.close()
        self._subscriber.close()

    def _all(self) -> Generator[bytes, None, None]:
        try:
            yield b"retry: %d\n\n" % RETRY
            yield from self._from_rows()
            yield from self._live()
        finally:
            self._subscriber.close()

    def _from_rows(self) -> Iterator[bytes]:
        """Yield the events in the rows after the last id, without holding a database connection while sending."""
        while items := stream_events.read(self._last_id, self._deployment_id):
            release_connection()
            if text := b"".join(self._sent(item) for item in items if self._wants(item)):
                yield text
            self._last_id = max(self._last_id, items[-1].id)
        release_connection()

    def _live(self) -> Iterator[bytes]:
        sent = time.monotonic()
        while not self._ended:
            items = self._subscriber.take(min(KEEPALIVE, RIGHTS_INTERVAL))
            if not self._still_may() or (not items and self._subscriber.dropped):
                return  # too slow: the client reconnects with the last id and reads the rest from the rows
            text = b"".join(self._sent(item) for item in items if item.id > self._last_id)
            if not text and time.monotonic() - sent >= KEEPALIVE:
                text = b": keep-alive\n\n"
            if text:
                sent = time.monotonic()
                yield text
        yield from self._from_rows()  # events written together with the end

    def _sent(self, item: stream_events.StreamEvent) -> bytes:
        self._last_id = max(self._last_id, item.id)
        if item.kind == "deployment" and item.data.get("status") in DEPLOYMENT_ENDED:
            self._ended = self._deployment_id is not None
        return item.text


def still(known: CachedCaller) -> bool:
    """Return whether a stream may continue. A caller whose rights have changed has to reconnect."""
    try:
        return session_cache.is_current(known)
    except Error:
        return True  # the database does not answer, so there are no events either; the next check asks again
    finally:
        release_connection()


def _last_id(request: HttpRequest, given: int | None) -> int | None:
    """Return the id of the query or the header, whichever is newer: a browser that reconnects sends the header."""
    header = request.headers.get("Last-Event-ID", "").strip()
    if not header:
        return given
    event_id = parse_number(header)
    if event_id is None:
        raise invalid("/header/Last-Event-ID", "event_id")
    return max(event_id, given or 0)
