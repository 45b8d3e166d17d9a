"""A server that answers a waiting deployctl as scripted, step by step, and then with success."""

import http.server
import json
import threading
import time


def deployment(status: str = "running") -> dict:
    return {"id": 7, "service": "shop", "action": "upgrade", "status": status, "counts": {"running": 1}}


class Scripted:
    """`with Scripted(steps) as server:` — the steps are taken one a request; after the last one the deployment has
    succeeded. A step is a status, (status, headers), "running", or what goes wrong on the line: "reset", "cut" (fewer
    bytes than were announced), "cut error" (a 503 that breaks off), "html" (200 of something else), "garbage", "hang".
    A header's value may be a function, which is asked when it is sent.
    """

    def __init__(self, *steps, end: str = "succeeded"):
        self.steps, self.end = list(steps), end
        self.requests: list[tuple[float, str]] = []
        self.waiting = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append((time.monotonic(), self.path))
                outer.answer(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.waiting.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request) -> None:
        request.close_connection = True
        step = self.steps.pop(0) if self.steps else self.end
        if "/operations/" in request.path:
            return self.send(request, 200, {"data": [], "next": None})
        if step == "reset":
            return request.connection.close()
        if step == "hang":
            self.waiting.wait(60)
            return None
        if step == "garbage":
            return request.wfile.write(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
        if step in ("cut", "cut error"):
            return self.send(request, 200 if step == "cut" else 503, deployment(), announced=10_000)
        if step == "html":
            return self.send(request, 200, "<html>back in a minute</html>")
        if isinstance(step, int | tuple):
            status, headers = (step, {}) if isinstance(step, int) else step
            return self.send(request, status, {"detail": "not now", "code": "x"}, headers)
        return self.send(request, 200, deployment(step))

    def send(self, request, status: int, body, headers=None, announced: int = 0) -> None:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = "text/html" if isinstance(body, str) else "application/json"
        request.send_response(status)
        fields = {"Content-Type": kind, "Content-Length": str(announced or len(raw)), **(headers or {})}
        for name, value in fields.items():
            request.send_header(name, value() if callable(value) else value)
        request.end_headers()
        request.wfile.write(raw)
