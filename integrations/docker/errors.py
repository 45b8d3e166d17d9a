"""What may go wrong with an engine. Each error has a message for people; words of the engine are its parameters."""

import http.client
import ssl
from collections.abc import Callable

from access.masking import Mask
from deployer.engine import transport_socket
from messages import Message
from messages.rendering import english

MAX_WORDS = 2000  # characters of the engine's own words
_CLIENT_REFUSED = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_UNKNOWN", "HANDSHAKE_FAILURE")
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
)


class EngineFailed(Exception):
    """Something did not work. `message` says what. `step`: of the settings' test."""

    step = "connect"

    def __init__(self, message: Message):
        super().__init__(english(message))
        self.message = message


class EngineAway(EngineFailed):
    """There was no answer, or it broke off: no fault of what was asked for, which may be tried again."""


class EngineRefused(EngineFailed):
    """The engine answered with an error. `status` of HTTP, and its own `words`."""

    def __init__(self, status: int, words: str):
        self.status, self.words = status, printable(words)
        super().__init__(Message("engine_refused", {"status": status, "reason": self.words}))


class StepFailed(EngineFailed):
    """An error inside an answer that began well: of a build, a push or a pull. `words`: the engine's own."""

    def __init__(self, code: str, words: str):
        self.words = printable(words)
        super().__init__(Message(code, {"reason": self.words}))


class GivenUp(Exception):
    """The conversation was ended from another thread."""


def printable(words: str) -> str:
    """Return an engine's words as one line that is safe to show."""
    line = " ".join(words.split())
    return "".join(char if char.isprintable() else " " for char in line)[:MAX_WORDS]


def masked(error: EngineFailed, mask: Mask) -> EngineFailed:
    """Mask secrets in the engine's words, which may repeat what it was sent. Return the same error."""
    params = {
        name: mask.text(value) if isinstance(value, str) else value for name, value in error.message.params.items()
    }
    error.message = Message(error.message.code, params)
    error.args = (english(error.message),)
    if isinstance(error, (EngineRefused, StepFailed)):
        error.words = mask.text(error.words)
    return error


def away(error: BaseException, address: str, seconds: float = 0) -> EngineAway:
    """Return what an error of a socket means, for people. `seconds`: of silence, after which a stream is given up."""
    if isinstance(error, TimeoutError) and seconds:
        return EngineAway(Message("engine_away.silent", {"address": address, "seconds": round(seconds)}))
    for matches, code in _MEANINGS:
        if matches(error):
            return EngineAway(Message(code, {"address": address}))
    if isinstance(error, ssl.SSLCertVerificationError):
        return EngineAway(Message("engine_away.certificate", {"reason": printable(error.verify_message)}))
    if isinstance(error, ssl.SSLError):
        return EngineAway(Message("engine_away.tls", {"reason": printable(error.reason or str(error))}))
    if isinstance(error, http.client.HTTPException):
        return EngineAway(Message("engine_away.no_engine", {"address": address}))
    return EngineAway(Message("engine_away.connection", {"address": address, "reason": transport_socket.why(error)}))


def _says(words: tuple[str, ...]) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, ssl.SSLError) and any(word in (error.reason or "") for word in words)


_MEANINGS: tuple[tuple[Callable[[BaseException], bool], str], ...] = (
    (lambda error: isinstance(error, FileNotFoundError), "engine_away.no_socket"),
    (lambda error: isinstance(error, PermissionError), "engine_away.not_permitted"),
    (lambda error: isinstance(error, ConnectionRefusedError), "engine_away.refused"),
    (
        lambda error: isinstance(error, TimeoutError) and not isinstance(error, transport_socket.NotResolved),
        "engine_away.timeout",
    ),
    (_says(_NOT_TLS), "engine_away.speaks_no_tls"),
    (_says(_CLIENT_REFUSED), "engine_away.client_certificate"),
    (lambda error: isinstance(error, http.client.RemoteDisconnected), "engine_away.closed"),
    (lambda error: isinstance(error, http.client.IncompleteRead), "engine_away.broke_off"),
)
