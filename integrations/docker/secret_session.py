"""Gives a build its secrets by BuildKit's own way: it asks for each at the moment when a step needs it.

`POST /session` turns the connection into HTTP/2 on which the engine is the client and asks by gRPC. A secret is in
memory on both sides, and in a file in memory (tmpfs) of the one step that mounts it: never in an argument, an
environment of the engine, a layer, the image's history or the build's cache.
"""

import logging
import socket
import struct
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any, cast

from access.secrets import Secret, reveal

from . import sign_in
from .engine import MAX_LINE, Engine, Reply, refusal
from .errors import away
from .protobuf import Malformed, first, number_field, text_field
from .target import CONNECT, Interrupt

if TYPE_CHECKING:
    from h2.connection import H2Connection

GET_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"  # noqa: S105  # the name of a method
CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
HEALTH = "/grpc.health.v1.Health/Check"
SWITCHING_PROTOCOLS = 101
_NOT_FOUND, _UNIMPLEMENTED, _INVALID = 5, 12, 3  # statuses of gRPC
_HUB = {"registry-1.docker.io": "https://index.docker.io/v1/"}  # as BuildKit asks for it, and as headers name it
_SERVING = number_field(1, 1)
_MAX_QUESTION = 64 * 1024  # bytes
_PREFIX = struct.Struct(">BI")  # of a message of gRPC: whether it is compressed, and its length
log = logging.getLogger(__name__)


@dataclass
class _Question:
    path: str
    body: bytes = b""


class SecretSession:
    """`with SecretSession(engine, {"TOKEN": …}) as session:` answers the engine until the end; `session.id` names it.

    `auth`: x_registry_config of `images.credentials`, for base images: BuildKit does not read the header. Raise
    EngineAway or EngineRefused on entering. Nothing but what is given here is ever answered.
    """

    def __init__(self, engine: Engine, secrets: Mapping[str, Secret], auth: Secret | None = None):
        self.id = uuid.uuid4().hex
        self.asked: set[str] = set()  # names of secrets
        self._target, self._api = engine.target, engine.api
        self._secrets, self._auth = dict(secrets), auth
        self._end = Interrupt()
        self._questions: dict[int, _Question] = {}
        self._unsent: dict[int, bytes] = {}

    def __enter__(self) -> "SecretSession":
        from h2.config import H2Configuration  # only builds with secrets need it
        from h2.connection import H2Connection

        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        try:
            self._socket = self._target.dial([self._end])
            self._socket.settimeout(CONNECT)
            self._upgrade()
            self._socket.settimeout(None)
        except (OSError, HTTPException, UnicodeError) as error:
            self._close()
            raise away(error, self._target.address) from error
        except BaseException:
            self._close()
            raise
        self._thread = threading.Thread(target=self._serve, args=(connection,), name="build secrets", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.cut()
        self._thread.join(CONNECT)
        self._close()

    def _close(self) -> None:
        self._end.release()
        if hasattr(self, "_socket"):
            self._socket.close()

    def _upgrade(self) -> None:
        headers = [
            ("Host", "docker"),
            ("Connection", "Upgrade"),
            ("Upgrade", "h2c"),
            ("Content-Length", "0"),
            ("X-Docker-Expose-Session-Uuid", self.id),
            ("X-Docker-Expose-Session-Name", "deployer"),
            *(("X-Docker-Expose-Session-Grpc-Method", path) for path in (GET_SECRET, CREDENTIALS, HEALTH)),
        ]
        lines = [f"POST /v{self._api}/session HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        answer = HTTPResponse(cast(socket.socket, _Unbuffered(self._socket)), method="POST")
        answer.begin()
        if answer.status != SWITCHING_PROTOCOLS:
            raise refusal(Reply(answer.status, answer.read(MAX_LINE)), self._target)

    def _serve(self, connection: "H2Connection") -> None:
        from h2.exceptions import H2Error

        try:
            while True:
                self._socket.sendall(connection.data_to_send())
                data = self._socket.recv(65536)
                if not data:
                    return
                for event in connection.receive_data(data):
                    self._take(connection, event)
        except (OSError, H2Error) as error:
            if not self._end.over:
                log.warning("the engine's connection for secrets ended: %s", type(error).__name__)
        finally:
            self._end.cut()  # also after an unexpected error: the engine must not wait for answers

    def _take(self, connection: "H2Connection", event: Any) -> None:
        from h2 import events

        if isinstance(event, events.RequestReceived):
            self._questions[event.stream_id] = _Question(
                dict(event.headers).get(b":path", b"").decode("ascii", "replace")
            )
        elif isinstance(event, events.DataReceived):
            connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            question = self._questions.get(event.stream_id)
            if question is not None and len(question.body) <= _MAX_QUESTION:
                question.body += event.data
        elif isinstance(event, events.StreamEnded):
            question = self._questions.pop(event.stream_id, None)
            if question is not None:
                self._answer(connection, event.stream_id, question)
        elif isinstance(event, events.StreamReset):
            self._questions.pop(event.stream_id, None)
            self._unsent.pop(event.stream_id, None)
        elif isinstance(event, events.WindowUpdated):
            for stream in list(self._unsent):
                self._send(connection, stream)

    def _answer(self, connection: "H2Connection", stream: int, question: _Question) -> None:
        try:
            answer = self._said(question)
        except (Malformed, UnicodeError):
            answer = _INVALID
        head = [(":status", "200"), ("content-type", "application/grpc")]
        if isinstance(answer, int):
            connection.send_headers(stream, [*head, ("grpc-status", str(answer))], end_stream=True)
            return
        connection.send_headers(stream, head)
        self._unsent[stream] = _PREFIX.pack(0, len(answer)) + answer
        self._send(connection, stream)

    def _said(self, question: _Question) -> bytes | int:
        """Return the message that answers, or a status of gRPC. Raise Malformed or UnicodeError."""
        message = question.body[_PREFIX.size :]
        if question.path == HEALTH:
            return _SERVING
        if question.path == GET_SECRET:
            name = first(message, 1).decode()
            if name not in self._secrets:
                return _NOT_FOUND
            self.asked.add(name)
            return text_field(1, reveal(self._secrets[name]).encode())
        if question.path == CREDENTIALS:
            host = first(message, 1).decode()
            login = sign_in.said(self._auth).get(_HUB.get(host, host))
            if login is None:
                return b""  # nobody: what needs no sign-in is pulled without one
            return text_field(1, login["username"].encode()) + text_field(2, login["password"].encode())
        return _UNIMPLEMENTED

    def _send(self, connection: "H2Connection", stream: int) -> None:
        """Send what the engine has room for; the rest when it says that it has more."""
        data = self._unsent[stream]
        while data:
            room = min(connection.local_flow_control_window(stream), connection.max_outbound_frame_size)
            if room <= 0:
                self._unsent[stream] = data
                return
            connection.send_data(stream, data[:room])
            data = data[room:]
        del self._unsent[stream]
        connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)


class _Unbuffered:
    """What follows the head is HTTP/2: nothing may be read ahead."""

    def __init__(self, sock: socket.socket):
        self._socket = sock

    def makefile(self, _mode: str) -> Any:
        return self._socket.makefile("rb", buffering=0)
