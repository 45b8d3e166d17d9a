"""A registry that answers whatever a test says."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Hostile:
    """`answer`: (status, body, headers) of everything, or "drip": a byte now and then; `tokens`: of its /token."""

    def __init__(self):
        self.answer, self.tokens, self.seen = (404, b"", {}), {}, []
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hostile.seen.append((self.command, self.path, dict(self.headers.items())))
                status, body, headers = (200, b"x", {}) if hostile.answer == "drip" else hostile.answer
                if self.path.startswith("/token"):
                    status, body, headers = 200, json.dumps(hostile.tokens).encode(), {}
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                if hostile.answer == "drip":
                    self._drip()
                    return
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_DELETE = do_GET

            def _drip(self):
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                for _ in range(100):
                    self.wfile.write(b" ")
                    time.sleep(0.05)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def hostile():
    with Hostile() as server:
        yield server
