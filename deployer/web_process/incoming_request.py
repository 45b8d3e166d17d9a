"""A request as it arrives: the received bytes, whether it is complete, and its deadline.

Pure: no socket, no clock. The loop of the web process (gunicorn_worker.py) feeds it, so that a slow client costs only
memory, no thread. It decides only when a request goes to a thread; gunicorn parses it.
"""

import re
from dataclasses import dataclass, field

MAX_HEAD = 64 * 1024  # bytes of the request line and headers
MAX_REQUEST_LINE = 8190 + 64  # bytes; gunicorn's own limit is exact
MAX_BUFFERED_BODY = 1024 * 1024  # bytes of a body that is buffered; a thread reads a larger one
MAX_CHUNK_LINE = 1024  # bytes of the size line of a chunk

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,4000})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_BARE = re.compile(rb"[^\r]\n")
_SIZE = re.compile(rb"[0-9a-fA-F]{1,1024}")  # MAX_CHUNK_LINE


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for a complete head, and for a complete buffered body."""

    head: float = 10
    body: float = 20


@dataclass(slots=True)
class IncomingRequest:
    """Call `take` with received data until `ready`. `streamed`: the body is large, and the handling thread reads it."""

    began: float
    limits: Limits = field(default_factory=Limits)
    data: bytearray = field(default_factory=bytearray)
    ready: bool = False
    streamed: bool = False
    too_large: str = ""  # "line" or "head": to be refused
    expects: bool = False  # the client waits for "100 Continue"
    _head_ended: float | None = None
    _searched: int = 0  # position before which the head does not end
    _needs: int = 0  # length of head and body; 0: chunked
    _at: int = 0  # position of the next size line of a chunked body

    def take(self, piece: bytes, now: float) -> None:
        self.data += piece
        if self._head_ended is None:
            self._look_for_head(now)
        if self._head_ended is not None and not self.ready:
            self.ready = self._is_whole()

    @property
    def deadline(self) -> float:
        """When it must be complete. A slow head does not reduce the time for the body."""
        if self._head_ended is None:
            return self.began + self.limits.head
        return self._head_ended + self.limits.body

    @property
    def address(self) -> str:
        """The requested path, as sent."""
        line = bytes(self.data[: self.data.find(b"\r\n")]).decode("latin-1")
        return line.partition(" ")[2].partition(" ")[0].partition("?")[0]

    @property
    def in_body(self) -> bool:
        return self._head_ended is not None

    def _look_for_head(self, now: float) -> None:
        new = self._searched
        end = self.data.find(b"\r\n\r\n", max(0, new - 3))
        self._searched = len(self.data)
        if end < 0:
            if _BARE.search(self.data, max(0, new - 1)):
                self.ready = True  # the parser will refuse it
            if b"\n" not in self.data[:MAX_REQUEST_LINE] and len(self.data) > MAX_REQUEST_LINE:
                self.too_large = "line"
            elif len(self.data) > MAX_HEAD:
                self.too_large = "head"
            return
        if end > MAX_HEAD:
            self.too_large = "head"
            return
        self._head_ended = now
        self._read_head(bytes(self.data[: end + 4]))

    def _read_head(self, head: bytes) -> None:
        length = _LENGTH.search(head)
        if _CHUNKED.search(head):
            self._at = len(head)
        elif length and int(length[1]) > MAX_BUFFERED_BODY:
            self.ready = self.streamed = True
        else:
            self._needs = len(head) + (int(length[1]) if length else 0)
        self.expects = bool(_EXPECTS.search(head)) and not self.ready

    def _is_whole(self) -> bool:
        if self._needs:
            return len(self.data) >= self._needs
        while (step := self._next_chunk()) > 0:
            self._at = step
        if len(self.data) > MAX_BUFFERED_BODY + MAX_HEAD:
            self.streamed = True
        return step == 0 or self.streamed

    def _next_chunk(self) -> int:
        """Return the position after the chunk at `_at`; 0: the body ends here, or is invalid; -1:
        incomplete."""
        end = self.data.find(b"\r\n", self._at, self._at + MAX_CHUNK_LINE)
        if end < 0:
            return -1 if len(self.data) < self._at + MAX_CHUNK_LINE else 0
        size = _SIZE.match(self.data, self._at)
        if size is None:
            return 0
        if length := int(size[0], 16):
            behind = end + 2 + length + 2
            return behind if behind <= len(self.data) else -1
        whole = self.data.startswith(b"\r\n", end + 2) or self.data.find(b"\r\n\r\n", end) >= 0
        return 0 if whole else -1
