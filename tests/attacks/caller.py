"""Attackers: callers of the HTTP API with a token, and browsers, each from an address of its own."""

import http.client
import json
import urllib.parse
from dataclasses import dataclass
from functools import cached_property
from http.cookies import SimpleCookie
from typing import Any

from tests.lab.attack import connection_to

FORM = "application/x-www-form-urlencoded"


class Meant(str):
    """An answer in words that say how something is refused, and not what came."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body)

    @cached_property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def said(self) -> str:
        """The status and, of a refusal, its code: "403 forbidden"."""
        try:
            code = self.json.get("code", "")
        except (ValueError, AttributeError):
            code = ""
        return f"{self.status} {code}" if isinstance(code, str) and code else str(self.status)


class Client:
    """One caller of the instance at `url`. `source`: the loopback address that its connections come from."""

    def __init__(self, url: str, token: str = "", source: str = "127.0.0.1"):
        self.url, self.token, self.source = url, token, source
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: bytes | None = None, timeout: float = 60, **headers: str) -> Answer:
        """`path` is sent as it stands. Header names have _ for -."""
        known = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            known.setdefault("Authorization", f"Bearer {self.token}")
        if self.cookies:
            known.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        connection = connection_to(self.url, timeout, self.source)
        try:
            connection.request(method, path, body, known)
            answer = connection.getresponse()
            got = Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()
        for line in got.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return got

    def api(self, method: str, path: str, body: Any = None, timeout: float = 60) -> Answer:
        """`path` below /api/v1; `body` is sent as JSON."""
        headers = {"X_CSRFToken": self.csrf, "Referer": f"{self.url}/"} if not self.token and self.csrf else {}
        raw = None if body is None else json.dumps(body).encode()
        return self.ask(method, f"/api/v1{path}", raw, timeout, Content_Type="application/json", **headers)

    def get(self, path: str) -> Answer:
        return self.api("GET", path)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.api("POST", path, {} if body is None else body)

    def made(self, path: str, body: Any = None) -> Any:
        """Return the answer to a POST that must succeed."""
        answer = self.post(path, body)
        assert answer.status in (200, 201, 202), (path, answer.status, answer.text)
        return answer.json

    def whole(self, path: str) -> list[dict]:
        """Return the rows of a list."""
        answer = self.get(path)
        assert answer.status == 200, (path, answer.status, answer.text)
        return answer.json["data"]

    # --- as a browser -------------------------------------------------------------------------------------------------

    @property
    def csrf(self) -> str:
        return next((value for name, value in self.cookies.items() if name.endswith("csrftoken")), "")

    def form(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """Send a form of a page."""
        if not self.csrf:
            self.ask("GET", "/login/")
        sent = urllib.parse.urlencode({"csrfmiddlewaretoken": self.csrf, **fields}).encode()
        return self.ask("POST", path, sent, Content_Type=FORM, **{"Referer": f"{self.url}{path}", **headers})

    def sign_in(self, username: str, password: str) -> Answer:
        return self.form("/login/", {"username": username, "password": password})
