"""A client of the HTTP API with the standard library only."""

import json
import urllib.error
import urllib.request
import uuid
from typing import Any

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the server is on this machine: no proxy


class Refused(Exception):
    """A refused request. `status` and `problem`: the answer."""

    def __init__(self, request: str, status: int, problem: dict):
        super().__init__(f"{request}: {status} {problem.get('detail', '')} {problem.get('errors', '') or ''}".strip())
        self.status, self.problem = status, problem


class Client:
    """`Client(url, token).get("services/")`: JSON in, JSON out. Paths are relative to /api/v1/."""

    def __init__(self, url: str, token: str):
        self._base, self._token = f"{url}/api/v1/", token

    def with_token(self, token: str) -> "Client":
        """Return a client of the same API with another token."""
        return Client(self._base.removesuffix("/api/v1/"), token)

    def get(self, path: str) -> Any:
        return self.send("GET", path)

    def find(self, path: str) -> dict[str, Any] | None:
        """Return the object at `path`, or None."""
        try:
            return self.get(path)
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def all(self, path: str) -> list[dict]:
        """Return every row of a list, from all pages."""
        rows, cursor = [], ""
        while True:
            page = self.get(f"{path}?limit=500{cursor}")
            rows += page["data"]
            if not page.get("next"):
                return rows
            cursor = f"&cursor={page['next']}"

    def post(self, path: str, body: dict | list) -> Any:
        """Send a POST with an idempotency key, so that it can be retried after a broken connection."""
        return self.send("POST", path, body, {"Idempotency-Key": str(uuid.uuid4())})

    def patch(self, path: str, body: dict) -> Any:
        return self.send("PATCH", path, body)

    def put_package(self, path: str, package: bytes) -> Any:
        return self._ask("PUT", path, package, {"Content-Type": "application/gzip"})

    def send(
        self, method: str, path: str, body: dict | list | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        data = None if body is None else json.dumps(body).encode()
        return self._ask(method, path, data, {"Content-Type": "application/json"} | (headers or {}))

    def _ask(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Any:
        headers = headers | {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        request = urllib.request.Request(self._base + path, data, headers, method=method)
        try:
            with OPENER.open(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise Refused(f"{method} {path}", error.code, _problem(error.read())) from None


def _problem(body: bytes) -> dict:
    try:
        problem = json.loads(body)
    except ValueError:
        return {"detail": body[:200].decode(errors="replace")}
    return problem if isinstance(problem, dict) else {"detail": str(problem)}
