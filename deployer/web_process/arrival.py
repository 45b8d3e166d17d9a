"""One request as it arrives: which of its bytes are there, whether a thread may have it, and until when it may take.

Pure: no socket, no clock. The web process's loop (gunicorn_worker.py) feeds it, so that a slow client costs memory for
what it has sent and no thread. What is decided here is only when a request is handed over; gunicorn parses it.
"""

import re
from dataclasses import dataclass, field

HEAD_ROOM = 64 * 1024  # bytes of a request's head
LINE_ROOM = 8190 + 64  # bytes of its first line; gunicorn's own limit is exact
BUFFERED = 1024 * 1024  # bytes of a body that is collected here; a thread reads a larger one
CHUNK_LINE = 1024  # bytes of a chunk's size line

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,4000})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_BARE = re.compile(rb"[^\r]\n")
_SIZE = re.compile(rb"[0-9a-fA-F]{1,1024}")  # CHUNK_LINE


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for a whole head, and for a whole body that is collected."""

    head: float = 10
    body: float = 20


@dataclass(slots=True)
class Arrival:
    """`take` what came until `ready`; `streamed`: its body is large, and whoever carries it out reads it."""

    began: float
    limits: Limits = field(default_factory=Limits)
    data: bytearray = field(default_factory=bytearray)
    ready: bool = False
    streamed: bool = False
    too_large: str = ""  # "line" or "head": refuse it
    expects: bool = False  # the client waits for "100 Continue" before it sends the body
    _head_ended: float | None = None
    _searched: int = 0  # where the head's end cannot be before
    _needs: int = 0  # length of head and body; 0: in chunks
    _at: int = 0  # in a chunked body: where the next size line begins

    def take(self, piece: bytes, now: float) -> None:
        self.data += piece
        if self._head_ended is None:
            self._look_for_head(now)
        if self._head_ended is not None and not self.ready:
            self.ready = self._is_whole()

    @property
    def deadline(self) -> float:
        """When it has to be ready. A head that comes slowly takes nothing from its body's time."""
        if self._head_ended is None:
            return self.began + self.limits.head
        return self._head_ended + self.limits.body

    @property
    def address(self) -> str:
        """The path that is asked for, as it was sent."""
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
                self.ready = True  # the parser refuses it, whatever comes
            if b"\n" not in self.data[:LINE_ROOM] and len(self.data) > LINE_ROOM:
                self.too_large = "line"
            elif len(self.data) > HEAD_ROOM:
                self.too_large = "head"
            return
        if end > HEAD_ROOM:
            self.too_large = "head"
            return
        self._head_ended = now
        self._read_head(bytes(self.data[: end + 4]))

    def _read_head(self, head: bytes) -> None:
        length = _LENGTH.search(head)
        if _CHUNKED.search(head):
            self._at = len(head)
        elif length and int(length[1]) > BUFFERED:
            self.ready = self.streamed = True
        else:
            self._needs = len(head) + (int(length[1]) if length else 0)
        self.expects = bool(_EXPECTS.search(head)) and not self.ready

    def _is_whole(self) -> bool:
        if self._needs:
            return len(self.data) >= self._needs
        while (step := self._next_chunk()) > 0:
            self._at = step
        if len(self.data) > BUFFERED + HEAD_ROOM:
            self.streamed = True
        return step == 0 or self.streamed

    def _next_chunk(self) -> int:
        """Where the chunk after the one at `_at` begins; 0: the body ends here (or is broken, which the parser says);
        -1: more has to come."""
        end = self.data.find(b"\r\n", self._at, self._at + CHUNK_LINE)
        if end < 0:
            return -1 if len(self.data) < self._at + CHUNK_LINE else 0
        size = _SIZE.match(self.data, self._at)
        if size is None:
            return 0
        if length := int(size[0], 16):
            behind = end + 2 + length + 2
            return behind if behind <= len(self.data) else -1
        whole = self.data.startswith(b"\r\n", end + 2) or self.data.find(b"\r\n\r\n", end) >= 0
        return 0 if whole else -1
