"""The web process: requests are collected by its loop, and only whole ones get one of its threads.

gunicorn's gthread gives a thread to every connection and reads in it for as long as the client likes: some forty slow
ones stop a process. Here the loop reads heads and ordinary bodies (arrival.py) until a deadline, sends what a
client did not take yet, and reads away what a refused client still sends. Threads wait for a client only where a large
body is streamed, at a pace (client_stream.py), and only some of them do (access/turns.py).
"""

import errno
import os
import resource
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from django.conf import settings
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker

from access import turns
from access.bodies import takes_packages
from access.client_ip import is_proxy, neighbourhood
from access.problems import Problem

from . import refusals
from .arrival import Arrival, Limits
from .client_connection import Connection
from .client_stream import ALL_HERE, SEND_TIMEOUT, Pace
from .refusals import answer, problem_of

HELD = 64 * 1024 * 1024  # bytes of all requests that are being collected
LINGER = 5.0  # seconds for which a refused request is read on, so that its client sees the answer and no reset
LINGER_BYTES = 256 * 1024 * 1024
PARKED = 20.0  # seconds for which a large body waits for a thread
SWEEP = 0.25  # seconds between two looks for what took too long
OTHER_BODIES = Pace(idle=10, grace=20, floor=64 * 1024)  # large, and no package
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Worker(ThreadWorker):
    """gunicorn's threads, behind a loop that waits for the clients. All but `handle` runs in the loop's thread."""

    def init_process(self) -> None:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")  # as deployer/wsgi.py, which comes later
        self.limits = Limits(settings.REQUEST_HEADER_TIMEOUT, settings.REQUEST_BODY_TIMEOUT)
        self.packages = Pace(idle=settings.UPLOAD_IDLE_TIMEOUT, floor=settings.MIN_UPLOAD_RATE * 1024)
        self.most_of_peer = settings.MAX_CONNECTIONS_PER_ADDRESS
        self.peers: Counter[str] = Counter()
        self.held = 0  # bytes
        self.waiting: dict[Connection, None] = {}  # whom the loop waits for, in the order in which it began to
        self.parked: deque[Connection] = deque()
        self.swept = 0.0
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.worker_connections * 2 + 512
        if soft < wanted:  # a connection too many must not be the end of the process
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(wanted, hard), hard))
        super().init_process()

    # --- connections come ---------------------------------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        if self.cfg.is_ssl:  # its handshake is gunicorn's, in a thread
            super().accept(listener)
            return
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        conn = Connection(self.cfg, sock, client, listener.getsockname(), self.closed)
        self.nr_conns += 1
        self.peers[neighbourhood(conn.peer)] += 1
        if self.nr_conns >= self.worker_connections - 1:
            self.make_room()
        if self.peers[neighbourhood(conn.peer)] > self.most_of_peer and not is_proxy(conn.peer):
            self.refuse(conn, refusals.TOO_MANY_CONNECTIONS)
            return
        self.await_request(conn)

    def closed(self, conn: Connection) -> None:
        self.forget(conn)
        peer = neighbourhood(conn.peer)
        self.peers[peer] -= 1
        if self.peers[peer] <= 0:
            del self.peers[peer]

    def make_room(self) -> None:
        """Lets go who has waited longest without saying anything: kept open for a next request, or not yet asking."""
        if self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self.poller.unregister(conn.sock)
            self.drop(conn)
        elif self.waiting:
            self.drop(next(iter(self.waiting)))

    def drop(self, conn: Connection) -> None:
        if not conn.gone:
            self.nr_conns -= 1
            conn.close()

    def await_request(self, conn: Connection, data: bytes = b"") -> None:
        """Collects the next request, of which `data` came with the one before."""
        conn.arrival = Arrival(time.monotonic(), self.limits)
        self.wait(conn, EVENT_READ, self.on_bytes, conn.arrival.deadline, self.too_late)
        conn.collecting = True
        if data:
            self.took(conn, data)
        if conn.collecting:
            self.on_bytes(conn)

    def on_bytes(self, conn: Connection) -> None:
        data = conn.recv()
        if data == b"":
            self.drop(conn)
        elif data:
            self.took(conn, data)

    def took(self, conn: Connection, data: bytes) -> None:
        arrival = conn.arrival
        was_in_body = arrival.in_body
        arrival.take(data, time.monotonic())
        self.held += len(data)
        conn.counted += len(data)
        conn.until = arrival.deadline
        if arrival.too_large:
            self.refuse(
                conn, problem_of(LimitRequestLine(0, 0) if arrival.too_large == "line" else LimitRequestHeaders(""))
            )
        elif arrival.ready:
            self.hand_over(conn)
        elif self.held > HELD:
            self.too_late(next(iter(self.waiting), conn))
        elif arrival.expects and not was_in_body:
            self.owe(conn, CONTINUE)

    def too_late(self, conn: Connection) -> None:
        """Answers whoever has begun a request and not ended it in time; who has said nothing gets no answer either."""
        if conn.collecting and conn.arrival.data:
            self.refuse(conn, refusals.TOO_SLOW, read_on=False)
        else:
            self.drop(conn)

    def hand_over(self, conn: Connection) -> None:
        """To a thread; with a large body only where one is free for it, else a little later or not."""
        self.forget(conn, still_counted=True)
        if conn.arrival.streamed:
            if not turns.streaming.enter():
                conn.until, conn.give_up = time.monotonic() + PARKED, partial(self.refuse, conn, refusals.BUSY)
                self.waiting[conn] = None
                self.parked.append(conn)
                return
            conn.streams = True
        self.enqueue_req(conn)

    def handle(self, conn: Connection) -> Any:
        if not isinstance(conn, Connection):
            return super().handle(conn)
        arrival, pace = conn.arrival, ALL_HERE
        if arrival.streamed:
            pace = self.packages if takes_packages(arrival.address) else OTHER_BODIES
        conn.data_ready = True
        conn.sock.setblocking(True)
        conn.init()
        conn.sock.begin(pace)
        conn.parser.unreader.unread(bytes(arrival.data))
        arrival.data = bytearray()
        return super().handle(conn)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        if conn.is_unread:
            return False  # the loop reads it away
        return super()._keepalive_after(conn, keepalive)

    def finish_request(self, conn: Connection, fs: Future) -> None:
        """What is owed to the client is sent first; then comes its next request, or the end."""
        if not isinstance(conn, Connection):
            super().finish_request(conn, fs)
            return
        if conn.streams:
            conn.streams = False
            turns.streaming.leave()
            self.unpark()
        self.forget(conn)
        failed = fs.cancelled() or fs.exception() is not None
        self.owe(conn, b"", partial(self.answered, conn, not failed and fs.result() is True, fs))

    def answered(self, conn: Connection, goes_on: bool, fs: Future) -> None:
        if not goes_on:
            self.linger(conn)
        elif data := conn.parser.unreader.take_buffered():
            self.await_request(conn, data)
        else:
            super().finish_request(conn, fs)  # kept open

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        try:
            self.keepalived_conns.remove(conn)
        except ValueError:
            return  # it made room for another in this very look at the poller
        self.poller.unregister(client)
        if isinstance(conn, Connection):
            self.await_request(conn)
        else:
            self.enqueue_req(conn)

    def unpark(self) -> None:
        while self.parked:
            conn = self.parked.popleft()
            if conn in self.waiting:
                self.hand_over(conn)
                return

    # --- an answer is sent, and the rest read away --------------------------------------------------------------------

    def refuse(self, conn: Connection, problem: Problem, read_on: bool = True) -> None:
        self.log.info("a connection of %s was refused: %s", conn.peer, problem.code)
        self.forget(conn)
        self.owe(conn, answer(problem), partial(self.linger if read_on else self.drop, conn))

    def owe(self, conn: Connection, data: bytes, then: Callable[[], None] | None = None) -> None:
        """Sends without waiting. `then` follows once all is sent; without it, the connection goes on as it is."""
        try:
            conn.sock.owed += data
            if not conn.sock.send_owed() and then:
                self.wait(
                    conn, EVENT_WRITE, partial(self.on_writable, then=then), time.monotonic() + SEND_TIMEOUT, self.drop
                )
                return
        except OSError:
            self.drop(conn)
            return
        if then:
            then()

    def on_writable(self, conn: Connection, then: Callable[[], None]) -> None:
        self.forget(conn)
        self.owe(conn, b"", then)

    def linger(self, conn: Connection) -> None:
        """Says that nothing more comes, and reads away what does until the client ends or its time is over."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop(conn)
            return
        self.wait(conn, EVENT_READ, self.on_rest, time.monotonic() + LINGER, self.drop)
        self.on_rest(conn)

    def on_rest(self, conn: Connection) -> None:
        data = conn.recv()
        if data is not None:
            conn.read_away += len(data)
            if not data or conn.read_away > LINGER_BYTES:
                self.drop(conn)

    def wait(self, conn: Connection, event: int, callback: Callable, until: float, give_up: Callable) -> None:
        conn.sock.setblocking(False)
        conn.until, conn.give_up = until, partial(give_up, conn)
        self.waiting[conn] = None
        turn = conn.turn
        # One look at the poller brings many events: what an earlier one of them has ended is not gone on with.
        self.poller.register(conn.sock, event, lambda _sock: callback(conn) if conn.turn == turn else None)

    def forget(self, conn: Connection, still_counted: bool = False) -> None:
        """The loop does not wait for it any more."""
        conn.collecting = False
        conn.turn += 1
        if not still_counted:
            self.held -= conn.counted
            conn.counted = 0
        if conn in self.waiting:
            del self.waiting[conn]
            try:
                self.poller.unregister(conn.sock)
            except (KeyError, ValueError, OSError):
                pass  # parked: it was not registered

    def murder_pending(self) -> None:
        """Called at every turn of gunicorn's loop. A stopping process waits for nobody who has not asked yet."""
        super().murder_pending()
        now = time.monotonic()
        if now - self.swept < SWEEP:
            return
        self.swept = now
        for conn in list(self.waiting):
            if conn in self.waiting and (conn.until <= now or not (self.alive or conn.arrival.data)):
                conn.give_up()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)  # nothing of it is told but that it went wrong
            return
        self.log.warning("a request of %s could not be read: %s", (addr or ("", 0))[0], type(exc).__name__)
        try:
            client.sendall(answer(problem_of(exc)))
        except OSError:
            self.log.debug("nobody was there to be told")
