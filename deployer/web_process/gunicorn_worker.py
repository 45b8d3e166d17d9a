"""The gunicorn worker: its loop buffers requests, and only complete ones get a thread.

gunicorn's gthread gives a thread to every connection and reads in it for as long as the client takes: about forty slow
clients block a process. Here the loop reads heads and ordinary bodies (incoming_request.py) until a deadline, sends the
rest of responses, and discards what a refused client still sends. Threads wait for a client only while a large body is
streamed, at a minimum pace (client_socket.py), and only some of them may (access/turns.py).
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
from .client_connection import Connection
from .client_socket import NO_WAITING, SEND_TIMEOUT, Pace
from .incoming_request import IncomingRequest, Limits
from .refusals import answer, problem_of

MAX_HELD = 64 * 1024 * 1024  # bytes of all buffered requests
LINGER_TIMEOUT = 5.0  # seconds of reading after a refusal, so that the client gets the response and no reset
MAX_LINGER_BYTES = 256 * 1024 * 1024
PARK_TIMEOUT = 20.0  # seconds that a large body waits for a thread
DEADLINE_CHECK_INTERVAL = 0.25  # seconds between two checks for overdue connections
OTHER_BODY_PACE = Pace(idle=10, grace=20, floor=64 * 1024)  # large bodies other than packages
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Worker(ThreadWorker):
    """gunicorn's threads behind a loop that waits for clients. Everything except `handle` runs in the loop's thread."""

    def init_process(self) -> None:
        os.environ.setdefault(
            "DJANGO_SETTINGS_MODULE", "deployer.settings"
        )  # as in deployer/wsgi.py, which is loaded later
        self.limits = Limits(settings.REQUEST_HEADER_TIMEOUT, settings.REQUEST_BODY_TIMEOUT)
        self.packages = Pace(idle=settings.UPLOAD_IDLE_TIMEOUT, floor=settings.MIN_UPLOAD_RATE * 1024)
        self.max_per_address = settings.MAX_CONNECTIONS_PER_ADDRESS
        self.peers: Counter[str] = Counter()
        self.held = 0  # bytes
        self.waiting: dict[Connection, None] = {}  # those that the loop waits for, oldest first
        self.parked: deque[Connection] = deque()
        self.swept = 0.0
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.worker_connections * 2 + 512
        if soft < wanted:  # too many connections must not end the process
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(wanted, hard), hard))
        super().init_process()

    # --- receiving ----------------------------------------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        if self.cfg.is_ssl:  # gunicorn does the handshake in a thread
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
        if self.peers[neighbourhood(conn.peer)] > self.max_per_address and not is_proxy(conn.peer):
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
        """Drop the connection that has been idle longest: a kept-alive one, or one without a request yet."""
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
        """Buffer the next request. `data`: what arrived of it with the previous one."""
        conn.incoming = IncomingRequest(time.monotonic(), self.limits)
        self.wait(conn, EVENT_READ, self.on_bytes, conn.incoming.deadline, self.on_deadline)
        conn.collecting = True
        if data:
            self.on_data(conn, data)
        if conn.collecting:
            self.on_bytes(conn)

    def on_bytes(self, conn: Connection) -> None:
        data = conn.recv()
        if data == b"":
            self.drop(conn)
        elif data:
            self.on_data(conn, data)

    def on_data(self, conn: Connection, data: bytes) -> None:
        incoming = conn.incoming
        was_in_body = incoming.in_body
        incoming.take(data, time.monotonic())
        self.held += len(data)
        conn.counted += len(data)
        conn.until = incoming.deadline
        if incoming.too_large:
            self.refuse(
                conn, problem_of(LimitRequestLine(0, 0) if incoming.too_large == "line" else LimitRequestHeaders(""))
            )
        elif incoming.ready:
            self.dispatch(conn)
        elif self.held > MAX_HELD:
            self.on_deadline(next(iter(self.waiting), conn))
        elif incoming.expects and not was_in_body:
            self.send(conn, CONTINUE)

    def on_deadline(self, conn: Connection) -> None:
        """Refuse an incomplete request after its deadline; drop a connection that has sent nothing."""
        if conn.collecting and conn.incoming.data:
            self.refuse(conn, refusals.TOO_SLOW, read_on=False)
        else:
            self.drop(conn)

    def dispatch(self, conn: Connection) -> None:
        """Give the request to a thread. One with a large body waits until a slot is free, or is refused."""
        self.forget(conn, still_counted=True)
        if conn.incoming.streamed:
            if not turns.streaming.enter():
                conn.until, conn.give_up = time.monotonic() + PARK_TIMEOUT, partial(self.refuse, conn, refusals.BUSY)
                self.waiting[conn] = None
                self.parked.append(conn)
                return
            conn.streams = True
        self.enqueue_req(conn)

    def handle(self, conn: Connection) -> Any:
        if not isinstance(conn, Connection):
            return super().handle(conn)
        incoming, pace = conn.incoming, NO_WAITING
        if incoming.streamed:
            pace = self.packages if takes_packages(incoming.address) else OTHER_BODY_PACE
        conn.data_ready = True
        conn.sock.setblocking(True)
        conn.init()
        conn.sock.begin(pace)
        conn.parser.unreader.unread(bytes(incoming.data))
        incoming.data = bytearray()
        return super().handle(conn)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        if conn.is_unread:
            return False  # the loop discards the rest
        return super()._keepalive_after(conn, keepalive)

    def finish_request(self, conn: Connection, fs: Future) -> None:
        """Send the rest of the response, then read the next request or close."""
        if not isinstance(conn, Connection):
            super().finish_request(conn, fs)
            return
        if conn.streams:
            conn.streams = False
            turns.streaming.leave()
            self.unpark()
        self.forget(conn)
        failed = fs.cancelled() or fs.exception() is not None
        self.send(conn, b"", partial(self.response_sent, conn, not failed and fs.result() is True, fs))

    def response_sent(self, conn: Connection, keep_alive: bool, fs: Future) -> None:
        if not keep_alive:
            self.linger(conn)
        elif data := conn.parser.unreader.take_buffered():
            self.await_request(conn, data)
        else:
            super().finish_request(conn, fs)  # keep-alive

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        try:
            self.keepalived_conns.remove(conn)
        except ValueError:
            return  # dropped to make room during this poll
        self.poller.unregister(client)
        if isinstance(conn, Connection):
            self.await_request(conn)
        else:
            self.enqueue_req(conn)

    def unpark(self) -> None:
        while self.parked:
            conn = self.parked.popleft()
            if conn in self.waiting:
                self.dispatch(conn)
                return

    # --- sending, and discarding the rest -----------------------------------------------------------------------------

    def refuse(self, conn: Connection, problem: Problem, read_on: bool = True) -> None:
        self.log.info("refused a connection from %s: %s", conn.peer, problem.code)
        self.forget(conn)
        self.send(conn, answer(problem), partial(self.linger if read_on else self.drop, conn))

    def send(self, conn: Connection, data: bytes, then: Callable[[], None] | None = None) -> None:
        """Send without waiting. `then` is called once all is sent."""
        try:
            conn.sock.unsent += data
            if not conn.sock.send_unsent() and then:
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
        self.send(conn, b"", then)

    def linger(self, conn: Connection) -> None:
        """Shut down sending, and discard what the client sends until it closes or LINGER_TIMEOUT."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop(conn)
            return
        self.wait(conn, EVENT_READ, self.on_rest, time.monotonic() + LINGER_TIMEOUT, self.drop)
        self.on_rest(conn)

    def on_rest(self, conn: Connection) -> None:
        data = conn.recv()
        if data is not None:
            conn.discarded += len(data)
            if not data or conn.discarded > MAX_LINGER_BYTES:
                self.drop(conn)

    def wait(self, conn: Connection, event: int, callback: Callable, until: float, give_up: Callable) -> None:
        conn.sock.setblocking(False)
        conn.until, conn.give_up = until, partial(give_up, conn)
        self.waiting[conn] = None
        turn = conn.turn
        # One poll brings many events: an earlier one may have ended this wait.
        self.poller.register(conn.sock, event, lambda _sock: callback(conn) if conn.turn == turn else None)

    def forget(self, conn: Connection, still_counted: bool = False) -> None:
        """Stop waiting for the connection."""
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
                pass  # a parked connection is not registered

    def murder_pending(self) -> None:
        """Drop connections that are past their deadline, in every iteration of gunicorn's loop. A stopping process
        drops those without a request."""
        super().murder_pending()
        now = time.monotonic()
        if now - self.swept < DEADLINE_CHECK_INTERVAL:
            return
        self.swept = now
        for conn in list(self.waiting):
            if conn in self.waiting and (conn.until <= now or not (self.alive or conn.incoming.data)):
                conn.give_up()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)  # details are not disclosed
            return
        self.log.warning("invalid request from %s: %s", (addr or ("", 0))[0], type(exc).__name__)
        try:
            client.sendall(answer(problem_of(exc)))
        except OSError:
            self.log.debug("the client was gone before the refusal")
