"""A client with one persistent connection: time, bytes and statements of each request."""

import gzip
import http.client
import json
import re
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

from demo.surroundings import USERNAME


@dataclass(frozen=True)
class Answer:
    """A response. `seconds` from the request to the last byte; `size` on the line; `statements` if counted."""

    status: int
    seconds: float
    size: int
    statements: int | None
    body: bytes = field(repr=False)
    headers: http.client.HTTPMessage = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)


class Browser:
    def __init__(self, url: str, token: str = ""):
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        self._headers = {"Accept-Encoding": "gzip"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._cookies: SimpleCookie = SimpleCookie()

    def sign_in(self, password: str) -> None:
        token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', self.ask("GET", "/login/").body)
        form = {"username": USERNAME, "password": password, "csrfmiddlewaretoken": token.group(1).decode()}  # type: ignore[union-attr]
        answer = self.ask("POST", "/login/", urlencode(form), "application/x-www-form-urlencoded")
        if answer.status != 302:
            raise RuntimeError(f"signing in was answered with {answer.status}")

    def get(self, path: str) -> Answer:
        """Send a GET request. Raise RuntimeError for any status but 200."""
        answer = self.ask("GET", path)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {answer.body[:200]!r}")
        return answer

    def post(self, path: str, body: dict) -> Answer:
        """Send JSON. Raise RuntimeError where it was refused."""
        answer = self.ask("POST", path, json.dumps(body), "application/json")
        if answer.status >= 300:
            raise RuntimeError(f"{path}: {answer.status} {answer.body[:300]!r}")
        return answer

    def ask(self, method: str, path: str, body: str | None = None, kind: str = "") -> Answer:
        headers = self._headers | ({"Content-Type": kind} if kind else {})
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={morsel.value}" for name, morsel in self._cookies.items())
        began = time.perf_counter()
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        seconds = time.perf_counter() - began
        for cookie in answer.headers.get_all("Set-Cookie", []):
            self._cookies.load(cookie)
        statements = answer.headers.get("X-Statements")
        plain = gzip.decompress(data) if answer.headers.get("Content-Encoding") == "gzip" else data
        count = int(statements) if statements else None
        return Answer(answer.status, seconds, len(data), count, plain, answer.headers)

    def close(self) -> None:
        self._connection.close()
