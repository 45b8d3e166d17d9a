"""Servers that speak GitLab's pipeline API and Jenkins' remote API, as far as they are documented and used."""

import http.server
import json
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit


class Server:
    """`with Server() as server:` answers at `server.url`. Its requests are in `requests`; `broken` changes the answers:
    a status, "slow", "garbage", "sign-in" (a redirect), or "lost" (does it, and closes without an answer).

    `broken_start`: a status for the start alone; `says`: the body and the headers of what is refused; `forgotten`:
    paths that are gone; `lingers`: whether a cancelled build goes on; `newest`: the number of Jenkins' newest
    build; `job`: what Jenkins says of the job.
    """

    def __init__(self):
        self.requests: list[tuple[str, str, dict]] = []
        self.broken: int | str | None = None
        self.broken_start: int | None = None
        self.says: tuple[bytes, dict[str, str]] = (b'{"message": "broken"}', {})
        self.forgotten: set[str] = set()
        self.newest, self.parameters, self.yaml_errors = 4, {}, None
        self.job: dict[str, object] = {"buildable": True, "property": [{"parameterDefinitions": [{"name": "REF"}]}]}
        self.lingers = False  # a cancelled build goes on for a while
        self.status, self.sha = "running", "a" * 40
        self.pipelines: dict[int, list[dict]] = {}
        self.queue: dict[str, object] = {"cancelled": False, "why": "In the quiet period"}
        self.build: dict[str, object] = {"building": True, "result": None}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self, "GET")

            def do_POST(self):
                outer.answer(self, "POST")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request, method: str) -> None:
        raw = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(request.path).path)
        self.requests.append((method, path, dict(request.headers)))
        refused = self.broken_start if method == "POST" else None
        if isinstance(self.broken, int) or refused:
            return self.send(request, refused or self.broken, self.says[0].decode(), self.says[1].items())
        if self.broken == "sign-in":
            return self.send(request, 302, "", {"Location": f"{self.url}/login"}.items())
        if path in self.forgotten:
            return self.send(request, 404, "")
        if self.broken == "slow":
            time.sleep(1.5)
        if self.broken == "garbage":
            return self.send(request, 200, "<html>no JSON")
        status, body, headers = (self.gitlab if "/api/v4/" in path else self.jenkins)(method, path, raw)
        if self.broken == "lost":
            request.close_connection = True
            return request.connection.close()
        return self.send(request, status, body, headers)

    def send(self, request, status: int, body, headers=()) -> None:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request.send_response(status)
        told = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **dict(headers)}
        for name, value in told.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(raw)

    # --- GitLab: docs.gitlab.com/api/pipelines, /api/commits --------------------------------------------------------

    def gitlab(self, method: str, path: str, raw: bytes):
        below = path.partition("/api/v4/projects/team/shop/")[2]
        if below.startswith("repository/commits/"):
            return 200, {"id": self.sha}, ()
        if (method, below) == ("POST", "pipeline"):
            self.pipelines[len(self.pipelines) + 7] = json.loads(raw)["variables"]
            return 201, self.pipeline(max(self.pipelines)), ()
        parts = below.split("/")
        if parts == ["pipelines"]:
            return 200, [self.pipeline(number) for number in sorted(self.pipelines, reverse=True)], ()
        if parts[0] == "pipelines" and int(parts[1]) in self.pipelines:
            if (method, parts[2:]) == ("POST", ["cancel"]):
                if self.status in ("created", "pending", "running", "canceling"):
                    self.status = "canceling" if self.lingers else "canceled"
                return 201, self.pipeline(int(parts[1])), ()
            if parts[2:] == ["variables"]:
                return 200, self.pipelines[int(parts[1])], ()
            return 200, self.pipeline(int(parts[1])), ()
        return 404, {"message": "404 Not found"}, ()

    def pipeline(self, number: int) -> dict:
        url = f"{self.url}/team/shop/-/pipelines/{number}"
        return {"id": number, "status": self.status, "sha": self.sha, "web_url": url, "yaml_errors": self.yaml_errors}

    # --- Jenkins: www.jenkins.io/doc/book/using/remote-access-api ---------------------------------------------------

    def jenkins(self, method: str, path: str, raw: bytes):
        if (method, path) == ("POST", "/job/shop/buildWithParameters"):
            self.parameters = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
            return 201, "", {"Location": f"{self.url}/queue/item/3/"}
        if path == "/queue/item/3/api/json":
            return 200, self.queue, ()
        if (method, path) == ("POST", "/queue/cancelItem"):
            self.queue["cancelled"] = True
            return 404, "", ()  # as Jenkins does
        if (method, path) in (("POST", f"/job/shop/{number}/stop") for number in range(4, self.newest + 1)):
            if not self.lingers:
                self.build.update(building=False, result="ABORTED")
            return 302, "", {"Location": f"{self.url}/job/shop/4/"}.items()
        if path in (f"/job/shop/{number}/api/json" for number in range(4, self.newest + 1)):
            return 200, self.build, ()
        if path == "/job/shop/api/json":
            told = [{"name": name, "value": value} for name, value in self.parameters.items()]
            built = [{"number": number, "actions": [{}, {"parameters": told}]} for number in range(self.newest, 3, -1)]
            return 200, {**self.job, "builds": built}, ()
        return 404, "", ()
