"""Real HTTP and HTTPS servers that answer as GitLab, Jenkins and a registry do, and certificates for them."""

import base64
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.lab.authority import Authority as Authority


class Server:
    """`answers`: {path without query: (status, JSON or bytes)}; keeps the headers that it was sent in `seen`."""

    def __init__(
        self,
        answers: dict,
        *,
        headers: dict | None = None,
        delay: float = 0,
        tls: tuple | None = None,
        client_ca: str = "",
        folder: Path | None = None,
    ):
        server = self
        self.seen: list[tuple[str, dict]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.seen.append((self.path, dict(self.headers.items())))
                time.sleep(delay)
                status, answer = answers.get(self.path.partition("?")[0], (404, b"{}"))
                wanted = headers or {}
                if any(self.headers.get(name) != value for name, value in wanted.items()):
                    status, answer = 401, b"{}"
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="lab"')
                self.send_header("Content-Type", "text/plain" if isinstance(answer, bytes) else "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_DELETE = do_GET

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.http.server_port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            (folder / "server.pem").write_text(tls[0] + tls[1])
            context.load_cert_chain(folder / "server.pem")
            if client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(cadata=client_ca)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def gitlab(**more) -> Server:
    return Server(
        {"/api/v4/user": (200, {"username": "deploy-bot"}), "/api/v4/projects": (200, [])},
        headers={"PRIVATE-TOKEN": "glpat-1234"},
        **more,
    )


def jenkins(**more) -> Server:
    return Server(
        {"/me/api/json": (200, {"fullName": "CI"}), "/api/json": (200, {"jobs": [{"name": "a"}]})},
        headers={"Authorization": "Basic " + base64.b64encode(b"ci:t0ken").decode()},
        **more,
    )


def registry(**more) -> Server:
    return Server(
        {"/v2/": (200, {}), "/v2/deployer-probe/blobs/uploads/": (202, {})},
        headers={"Authorization": "Basic " + base64.b64encode(b"ci:passw0rd").decode()},
        **more,
    )


class S3:
    """moto's server: S3 over HTTP, or over TLS that asks for a client certificate. `folder`: for its files."""

    def __init__(self, folder: Path, *, tls: tuple | None = None, client_ca: str = ""):
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            (folder / "s3.pem").write_text(tls[0] + tls[1])
            context.load_cert_chain(folder / "s3.pem")
            if client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(cadata=client_ca)
        self.http = make_server(
            "127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True, ssl_context=context
        )
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        import logging

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
