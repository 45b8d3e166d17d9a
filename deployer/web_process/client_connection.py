"""A client's connection as the loop of the web process keeps it: gunicorn_worker.py."""

import socket
import time
from collections.abc import Callable
from typing import Any

from gunicorn import util
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.workers.gthread import TConn

from .arrival import Arrival
from .client_stream import Line

PIECE = 64 * 1024


class Connection(TConn):
    """A client's connection, with what arrives on it. `on_close` is called once, when it is closed."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any, on_close: Callable):
        super().__init__(cfg, Line(sock), client, server)
        self.arrival = Arrival(time.monotonic())
        self.until = 0.0  # when the loop gives up what it waits for
        self.give_up: Callable[[], None] = self.close
        self.streams = False  # holds a turn of those who stream a body
        self.read_away = 0  # bytes
        self.counted = 0  # bytes of its request in the worker's sum
        self.collecting = False  # the loop reads its request
        self.turn = 0  # grows whenever the loop stops waiting for it
        self.gone = False
        self._on_close = on_close

    @property
    def peer(self) -> str:
        return self.client[0] if isinstance(self.client, tuple) else ""

    def recv(self) -> bytes | None:
        """What is there; None where nothing is, b"" where the client has gone."""
        try:
            return self.sock.recv(PIECE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def close(self, graceful: bool = False) -> None:
        """Never waits, whatever is asked: whoever still sends is read away by the loop before."""
        if self.gone:
            return
        self.gone = True
        self._on_close(self)
        util.close(self.sock)

    @property
    def is_unread(self) -> bool:
        """Whether a body that is read as it comes has not been read to its end."""
        reader = getattr(getattr(self.parser.mesg, "body", None), "reader", None)
        if not self.arrival.streamed:
            return False  # it is in the process's memory, all of it
        return (isinstance(reader, LengthReader) and reader.length > 0) or (
            isinstance(reader, ChunkedReader) and reader.parser is not None
        )
