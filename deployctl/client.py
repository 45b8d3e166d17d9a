"""HTTP client of the API, on the standard library. Requests are retried; an idempotency key makes a POST safe."""

from __future__ import annotations

import email.utils
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cli import say
from .exits import Ended, Exit, OutOfTime
from .patience import MAX_TRIES, Patience

USAGE_STATUSES = frozenset({400, 401, 403, 404, 405, 410, 413, 414, 415, 422})
FINAL = USAGE_STATUSES | {409}  # a retry gets the same answer
TEMPORARY = frozenset({429, 502, 503, 504})  # always retried


@dataclass(frozen=True)
class Answer:
    """The server's answer: the JSON (None without any), the raw bytes and the headers."""

    status: int
    data: Any
    raw: bytes
    headers: dict[str, str]


# Of direction, and of no width: they change how a line reads.
_MARKS = "\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"


class _Retry(Exception):
    """No answer, or a temporary one. `retry_after`: the seconds that the server asks to wait."""

    def __init__(self, reason: str, retry_after: float | None = None, refusal: Ended | None = None):
        super().__init__(reason)
        self.retry_after, self.refusal = retry_after, refusal


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None  # the token is never sent to another URL


class Client:
    """`Client(url, token).get("/services/")`. Paths are below /api/v1. Every error raises Ended.

    `patience`: how long a server that does not answer is retried.
    """

    def __init__(self, url: str, token: str, patience: Patience | None = None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Ended(
                f"{url!r} is not a valid URL: DEPLOYCTL_URL or --url must be http://… or https://…", Exit.USAGE_ERROR
            )
        if any(ord(letter) <= 32 or ord(letter) > 126 for letter in token):
            raise Ended("The token contains an invalid character.", Exit.USAGE_ERROR)
        self._base, self._token = url.rstrip("/") + "/api/v1", token
        self._opener = urllib.request.build_opener(_NoRedirect())
        self.patience = patience or Patience()

    def get(self, path: str, timeout: float = 60, **query: Any) -> Any:
        return self.ask("GET", path, query=query, timeout=timeout).data

    def all(self, path: str, **query: Any) -> list[dict]:
        """Return every row of a list, from all pages."""
        rows: list[dict] = []
        cursor = ""
        while True:
            page = self.get(path, limit=500, cursor=cursor, **query)
            rows += page["data"]
            if not page.get("next"):
                return rows
            cursor = page["next"]

    def post(self, path: str, body: dict | None = None) -> Any:
        """Send a POST. All tries have one idempotency key: a request whose answer was lost is not repeated."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        if body is None:
            return self.ask("POST", path, headers=headers).data
        return self.ask("POST", path, json.dumps(body).encode(), headers | {"Content-Type": "application/json"}).data

    def put_file(self, path: str, file: Path, digest: str) -> Any:
        """Upload a file. Uploading the same bytes again changes nothing, so a broken upload is retried."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(file.stat().st_size),
            "Content-Digest": f"sha-256=:{digest}:",
        }
        return self.ask("PUT", path, file, headers, timeout=3600).data

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Path | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
        timeout: float = 60,
        text: bool = False,
    ) -> Answer:
        """Send a request, and retry it. `text`: the answer is not JSON. `timeout`: seconds without data."""
        known = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        address = self._base + path + (f"?{urllib.parse.urlencode(known)}" if known else "")
        tried = 0
        while True:
            # One try may not exceed the command's timeout; one second more for an answer on its way.
            limit = min(timeout, max(1.0, self.patience.left + 1))
            try:
                answer = self._try(method, address, body, headers or {}, limit, text, tried)
            except _Retry as retry:
                tried += 1
                self._wait(tried, retry)
                continue
            if tried and self.patience.waits:
                say(f"{self._base} answers again.", err=True)
            return answer

    def _try(
        self,
        method: str,
        address: str,
        body: bytes | Path | None,
        headers: dict[str, str],
        timeout: float,
        text: bool,
        tried: int,
    ) -> Answer:
        """Try once. Raise _Retry if another try may succeed, else Ended."""
        try:
            answer = self._once(method, address, body, headers, timeout)
        except urllib.error.URLError as error:
            # Without a connection nothing was sent; a request that broke off later may have arrived.
            self.patience.reached |= isinstance(error.reason, (ConnectionResetError, BrokenPipeError))
            raise _Retry(f"{self._base} does not answer: {error.reason or error}") from None
        except (http.client.HTTPException, OSError) as error:
            self.patience.reached = True
            raise _Retry(f"{self._base} does not answer: {error or type(error).__name__}") from None
        self.patience.reached = True
        if 200 <= answer.status < 300:
            if text or answer.data is not None or not answer.raw:
                return answer
            raise _Retry(f"{self._base} answered with something other than JSON")
        if self._is_temporary(method, answer, tried):
            raise _Retry(f"{self._base} answered {answer.status}", _retry_after(answer), _refusal(answer))
        raise _refusal(answer)

    def _is_temporary(self, method: str, answer: Answer, tried: int) -> bool:
        code = answer.data.get("code") if isinstance(answer.data, dict) else None
        if answer.status in TEMPORARY or code == "idempotency_in_progress":
            return True
        if method != "GET" and tried + 1 >= MAX_TRIES:  # it fails the same way, and nothing was started
            return False
        return self.patience.waits and answer.status not in FINAL

    def _wait(self, tried: int, retry: _Retry) -> None:
        pause = self.patience.pause(tried, retry.retry_after)
        if pause is None:
            if self.patience.waits and self.patience.reached:
                raise OutOfTime(f"{retry}.")
            raise retry.refusal or Ended(f"{retry}.", Exit.FAILED)
        if self.patience.waits and tried == 1:
            say(f"{retry}. Retrying.", err=True)
        time.sleep(pause)

    def _once(
        self, method: str, address: str, body: bytes | Path | None, headers: dict[str, str], timeout: float
    ) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **headers}
        if not isinstance(body, Path):
            request = urllib.request.Request(address, body, headers, method=method)  # noqa: S310 - http(s) only
            return self._open(request, timeout)
        with body.open("rb") as file:
            request = urllib.request.Request(address, file, headers, method=method)  # noqa: S310 - http(s) only
            return self._open(request, timeout)

    def _open(self, request: urllib.request.Request, timeout: float) -> Answer:
        try:
            response = self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:  # an answer too: reading it may fail
            response = error
        with response:
            return _answer(response)


def _answer(response: Any) -> Answer:
    raw = response.read()
    kind = response.headers.get("Content-Type", "")
    try:
        data = json.loads(raw) if "json" in kind and raw else None
    except ValueError:
        data = None
    return Answer(response.status, data, raw, dict(response.headers.items()))


def _retry_after(answer: Answer) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date; None without one."""
    value = answer.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _refusal(answer: Answer) -> Ended:
    """Return a problem document as text: the sentence, each field error, the hint, and the code."""
    problem = answer.data if isinstance(answer.data, dict) else {}
    lines = [str(problem.get("detail") or f"The server answered {answer.status}.")]
    lines += [f"  {error.get('pointer', '')}: {error.get('reason', '')}" for error in problem.get("errors") or []]
    if problem.get("hint"):
        lines.append(f"Hint: {problem['hint']}")
    if problem.get("code"):
        lines.append(f"({answer.status} {problem['code']}, request {problem.get('request_id', '')})")
    status = (
        Exit.CONFLICT if answer.status == 409 else Exit.USAGE_ERROR if answer.status in USAGE_STATUSES else Exit.FAILED
    )
    return Ended(printable("\n".join(lines)), status, problem)


def printable(text: str) -> str:
    """Return the text without control characters, which could move a terminal's cursor or change its title, and without
    marks that reorder or hide what stands around them."""
    return "".join(letter for letter in text if letter in "\n\t" or not _is_control(letter))


def _is_control(letter: str) -> bool:
    return letter < " " or "\x7f" <= letter <= "\x9f" or letter in _MARKS
