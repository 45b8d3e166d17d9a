"""Requests to an engine: short ones, bounded in time and bytes, and streams of JSON lines, bounded in silence."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from messages import Message

from .errors import EngineAway, EngineFailed, EngineRefused, GivenUp, away
from .target import CONNECT, Interrupt, Target

OURS = (1, 44)  # of the API; Docker 29 refuses what is older
OLDEST = (1, 40)
SHORT = 8.0  # seconds of a short request, from the first packet to the last byte of the answer
SILENCE = 300.0  # seconds without a byte after which a stream is given up
MAX_ANSWER = 4 * 1024 * 1024  # bytes
MAX_LINE = 1024 * 1024
SUCCESS = range(200, 300)
HTTP_TO_TLS = b"HTTP request to an HTTPS server"
Body = bytes | Iterable[bytes] | None
OnLine = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes


@dataclass(frozen=True)
class Engine:
    """An engine that answered. `api`: the version of its API that both sides speak, such as "1.41"."""

    target: Target
    api: str
    version: str = ""  # of the engine itself
    platform: str = ""  # such as linux/amd64

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = SHORT,
        interrupt: Interrupt | None = None,
        max_bytes: int = MAX_ANSWER,
    ) -> Reply:
        """Send one short request; `body` is sent as JSON. Any status is a Reply. Raise EngineAway or GivenUp."""
        sent = None if body is None else json.dumps(body).encode()
        kind = {} if sent is None else {"Content-Type": "application/json"}
        call = Call(self.target, method, f"/v{self.api}{path}", sent, {**kind, **(headers or {})})
        return call.short(seconds, max_bytes, interrupt)

    def get(self, method: str, path: str, body: object = None, **more: Any) -> Any:
        """Send one short request and return the JSON of its answer. Raise EngineRefused too."""
        return json_of(self.ask(method, path, body, **more), self.target)

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Read an answer in the block. Raise EngineAway where it has another form than an engine's."""
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise EngineAway(Message("engine_away.no_engine", {"address": self.target.address})) from error

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        headers: Mapping[str, str] | None = None,
        silence: float = SILENCE,
        interrupt: Interrupt | None = None,
    ) -> Iterator[HTTPResponse]:
        """Yield the answer to read from, once it has begun well. Raise EngineRefused, EngineAway or GivenUp.

        So do reads of it: no byte for `silence` seconds is EngineAway.
        """
        call = Call(self.target, method, f"/v{self.api}{path}", body, dict(headers or {}))
        with call.opened(silence, interrupt or Interrupt()) as answer:
            if answer.status not in SUCCESS:
                raise refusal(Reply(answer.status, answer.read(MAX_LINE)), self.target)
            yield answer

    def lines(self, method: str, path: str, body: Body = None, **more: Any) -> Iterator[dict[str, Any]]:
        """Yield the JSON objects of a streamed answer, as they come. Its end is no success: see images.py."""
        with self.stream(method, path, body, **more) as answer:
            begun = b""
            while piece := answer.read1(65536):  # `readline` takes what was cut for an end
                *whole, begun = (begun + piece).split(b"\n")
                if len(begun) > MAX_LINE:
                    raise EngineAway(Message("engine_away.no_engine", {"address": self.target.address}))
                yield from (_object(line, self.target, dict) for line in whole if line.strip())
            if begun.strip():
                yield _object(begun, self.target, dict)


def connect(part: dict[str, Any], interrupt: Interrupt | None = None) -> Engine:
    """Return the engine of the settings `docker`, after it told its version. Raise EngineFailed, or BadCertificates
    (http_client) where the certificates cannot be read."""
    target = Target.of(part)
    said = json_of(Call(target, "GET", "/version").short(SHORT, MAX_ANSWER, interrupt), target)
    said = said if isinstance(said, dict) else {}
    theirs, oldest = _number(said.get("ApiVersion")), _number(said.get("MinAPIVersion")) or (1, 0)
    if theirs is None:
        raise EngineAway(Message("engine_away.no_engine", {"address": target.address}))
    shown = {"version": str(said.get("Version"))[:50], "api": ".".join(map(str, theirs))}
    if theirs < OLDEST:
        raise EngineFailed(Message("engine_too_old", {**shown, "oldest": ".".join(map(str, OLDEST))}))
    if oldest > OURS:
        raise EngineFailed(Message("engine_too_new", {**shown, "ours": ".".join(map(str, OURS))}))
    api = ".".join(map(str, min(OURS, theirs)))
    return Engine(target, api, shown["version"], f"{said.get('Os', '')}/{said.get('Arch', '')}"[:50])


@dataclass
class Call:
    """One request on a connection of its own."""

    target: Target
    method: str
    path: str
    body: Body = None
    headers: Mapping[str, str] | None = None

    def short(self, seconds: float, max_bytes: int, interrupt: Interrupt | None) -> Reply:
        """Return the whole answer within `seconds`, also where a byte comes now and then."""
        own = Interrupt()
        timer = threading.Timer(seconds, own.cut)
        timer.daemon = True
        timer.start()
        try:
            with self.opened(seconds, own, interrupt) as answer:
                body = answer.read(max_bytes + 1)
        except GivenUp:
            if interrupt and interrupt.over:
                raise
            raise away(TimeoutError(), self.target.address) from None
        finally:
            timer.cancel()
        if len(body) > max_bytes:
            raise EngineAway(Message("unreachable.answer_too_large", {"max": max_bytes}))
        return Reply(answer.status, body)

    @contextmanager
    def opened(self, silence: float, *interrupts: Interrupt | None) -> Iterator[HTTPResponse]:
        """Yield the answer once its head has come. Errors of the block that come from the socket are translated."""
        watched = [each for each in interrupts if each is not None]
        connection = _Connection(self.target, silence, watched)
        try:
            yield self._sent(connection)
            if any(each.over for each in watched):  # what was cut may look like an end
                raise GivenUp
        except (OSError, HTTPException, UnicodeError) as error:
            if any(each.over for each in watched):
                raise GivenUp from None
            raise away(error, self.target.address, silence if connection.answered else 0) from error
        finally:
            connection.close()
            for each in watched:
                each.release()

    def _sent(self, connection: "_Connection") -> HTTPResponse:
        chunked = self.body is not None and not isinstance(self.body, bytes)
        headers = {"User-Agent": "deployer", **(self.headers or {})}
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif self.body is None and self.method == "POST":
            headers["Content-Length"] = "0"
        try:
            connection.request(self.method, self.path, self.body, headers, encode_chunked=chunked)
        except (BrokenPipeError, ConnectionResetError):
            if not connection.begun:
                raise
            # It answered before it had all of the body, and this answer says why.
        answer = connection.getresponse()
        connection.answered = True
        return answer


class _Connection(HTTPConnection):
    def __init__(self, target: Target, silence: float, interrupts: list[Interrupt]):
        super().__init__(target.host, target.port)
        self._target, self._silence, self._interrupts = target, silence, interrupts
        self.begun = self.answered = False

    def connect(self) -> None:
        self.sock = self._target.dial(self._interrupts, min(CONNECT, self._silence))
        self.sock.settimeout(self._silence)
        self.begun = True


def refusal(reply: Reply, target: Target) -> EngineFailed:
    """Return the error of an answer that is no success."""
    if HTTP_TO_TLS in reply.body:
        return EngineAway(Message("engine_away.speaks_tls", {"address": target.address}))
    try:
        words = json.loads(reply.body)["message"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return EngineAway(Message("engine_away.no_engine", {"address": target.address}))
    return EngineRefused(reply.status, str(words))


def json_of(reply: Reply, target: Target) -> Any:
    """Return the JSON of a successful answer; None of one without content. Raise EngineFailed."""
    if reply.status not in SUCCESS:
        raise refusal(reply, target)
    return _object(reply.body, target) if reply.body.strip() else None


def _object(text: bytes, target: Target, kinds: type | tuple[type, ...] = (dict, list)) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kinds):
        raise EngineAway(Message("engine_away.no_engine", {"address": target.address}))
    return value


def _number(text: object) -> tuple[int, int] | None:
    major, _, minor = str(text).partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
