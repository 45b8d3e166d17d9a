"""A client's connection, as the loop of the web process (gunicorn_worker.py) keeps it."""

import socket
import time
from collections.abc import Callable
from typing import Any

from gunicorn import util
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.workers.gthread import TConn

from .client_socket import ClientSocket
from .incoming_request import IncomingRequest

READ_SIZE = 64 * 1024


class Connection(TConn):
    """A client's connection and its incoming request. `on_close` is called once, when it is closed."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any, on_close: Callable):
        super().__init__(cfg, ClientSocket(sock), client, server)
        self.incoming = IncomingRequest(time.monotonic())
        self.until = 0.0  # deadline of what the loop waits for
        self.give_up: Callable[[], None] = self.close
        self.streams = False  # holds a slot for streamed bodies
        self.discarded = 0  # bytes
        self.counted = 0  # bytes of its request in the worker's total
        self.collecting = False  # the loop reads its request
        self.turn = 0  # incremented when the loop stops waiting for it
        self.gone = False
        self._on_close = on_close

    @property
    def peer(self) -> str:
        return self.client[0] if isinstance(self.client, tuple) else ""

    def recv(self) -> bytes | None:
        """Return the available data; None if there is none, b"" if the client is gone."""
        try:
            return self.sock.recv(READ_SIZE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def close(self, graceful: bool = False) -> None:
        """Close at once, even if `graceful`: the loop has discarded what the client still sent."""
        if self.gone:
            return
        self.gone = True
        self._on_close(self)
        util.close(self.sock)

    @property
    def is_unread(self) -> bool:
        """Whether a streamed body has not been read to its end."""
        reader = getattr(getattr(self.parser.mesg, "body", None), "reader", None)
        if not self.incoming.streamed:
            return False  # it is buffered completely
        return (isinstance(reader, LengthReader) and reader.length > 0) or (
            isinstance(reader, ChunkedReader) and reader.parser is not None
        )
