"""A real HTTP server on loopback that keeps its requests, and answers as configured."""

import ssl
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Got:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers`: what to say, one after the other, the last one again and again: (status, headers, body, delay).

    `tls`: (certificate, key) as PEM. `client_ca`: PEM; clients need a certificate of it.
    """

    answers: list[tuple] = field(default_factory=lambda: [(200, {}, b"thanks", 0)])
    got: list[Got] = field(default_factory=list)
    tls: tuple[str, str] | None = None
    client_ca: str = ""
    address: str = "127.0.0.1"

    def __enter__(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers, text, delay = receiver.answers[min(len(receiver.got), len(receiver.answers)) - 1]
                time.sleep(delay)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((self.address, 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        if self.tls:
            self.server.socket = self._context().wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.port = self.server.server_port
        self.url = f"http{'s' if self.tls else ''}://{self.address}:{self.port}/hook?a=b"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write("".join(self.tls))
            file.flush()
            context.load_cert_chain(file.name)
        if self.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.client_ca)
        return context
