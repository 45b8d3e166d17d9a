"""The HTTP API over the standard library. What is safe to send again is sent again: a POST carries a key for that."""
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

from .exits import Ended, Exit

TRIES = 4
LONGEST_PAUSE = 10.0  # seconds between two tries
WRONG_USE = frozenset({400, 401, 403, 404, 405, 413, 414, 415, 422})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: the JSON (None where there is none), the raw bytes and the headers."""

    status: int
    data: Any
    raw: bytes
    headers: dict[str, str]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # a token is never carried to another address


class Client:
    """`Client(url, token).get("/services/")`; paths are below /api/v1. Raises Ended for everything that goes wrong."""

    def __init__(self, url: str, token: str):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Ended(f"{url!r} is no address: DEPLOYCTL_URL or --url must be http://… or https://…", Exit.WRONG_USE)
        if any(ord(letter) <= 32 or ord(letter) > 126 for letter in token):
            raise Ended("The token holds a character that no token has.", Exit.WRONG_USE)
        self._base, self._token = url.rstrip("/") + "/api/v1", token
        self._opener = urllib.request.build_opener(_NoRedirect())

    def get(self, path: str, timeout: float = 60, **query: Any) -> Any:
        return self.ask("GET", path, query=query, timeout=timeout).data

    def all(self, path: str, **query: Any) -> list[dict]:
        """Every row of a list, page after page."""
        rows: list[dict] = []
        cursor = ""
        while True:
            page = self.get(path, limit=500, cursor=cursor, **query)
            rows += page["data"]
            if not page.get("next"):
                return rows
            cursor = page["next"]

    def post(self, path: str, body: dict | None = None) -> Any:
        """One key for all tries, so that a request whose answer was lost is not done twice."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        if body is None:
            return self.ask("POST", path, headers=headers).data
        return self.ask("POST", path, json.dumps(body).encode(), headers | {"Content-Type": "application/json"}).data

    def put_file(self, path: str, file: Path, digest: str) -> Any:
        """Streams a file. The same bytes again change nothing, so a try that broke off is repeated."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size),
                   "Content-Digest": f"sha-256=:{digest}:"}
        return self.ask("PUT", path, file, headers, timeout=3600).data

    def ask(self, method: str, path: str, body: bytes | Path | None = None, headers: dict[str, str] | None = None,
            query: dict[str, Any] | None = None, timeout: float = 60) -> Answer:
        known = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        address = self._base + path + (f"?{urllib.parse.urlencode(known)}" if known else "")
        for left in reversed(range(TRIES)):
            try:
                return self._once(method, address, body, headers or {}, timeout)
            except urllib.error.HTTPError as error:
                answer = _answer(error)
                if not left or not _worth_another_try(answer):
                    raise _refused(answer) from None
                pause = _pause(answer, TRIES - left)
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                if not left:
                    reason = getattr(error, "reason", None) or error
                    raise Ended(f"{self._base} does not answer: {reason}", Exit.BADLY) from None
                pause = 0.3 * 2 ** (TRIES - left)
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _once(self, method: str, address: str, body: bytes | Path | None, headers: dict[str, str],
              timeout: float) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **headers}
        if not isinstance(body, Path):
            request = urllib.request.Request(address, body, headers, method=method)  # noqa: S310 - http(s) only
            with self._opener.open(request, timeout=timeout) as response:
                return _answer(response)
        with body.open("rb") as file:
            request = urllib.request.Request(address, file, headers, method=method)  # noqa: S310 - http(s) only
            with self._opener.open(request, timeout=timeout) as response:
                return _answer(response)


def _answer(response: Any) -> Answer:
    raw = response.read()
    kind = response.headers.get("Content-Type", "")
    try:
        data = json.loads(raw) if "json" in kind and raw else None
    except ValueError:
        data = None
    return Answer(response.status, data, raw, dict(response.headers.items()))


def _worth_another_try(answer: Answer) -> bool:
    code = (answer.data or {}).get("code") if isinstance(answer.data, dict) else None
    return answer.status in (429, 502, 503, 504) or code == "idempotency_in_progress"


def _pause(answer: Answer, tried: int) -> float:
    told = answer.headers.get("Retry-After", "")
    return min(LONGEST_PAUSE, float(told) if told.isdigit() else 0.3 * 2**tried)


def _refused(answer: Answer) -> Ended:
    """The problem as people read it: the sentence, each place, the hint, and where to read more."""
    problem = answer.data if isinstance(answer.data, dict) else {}
    lines = [str(problem.get("detail") or f"The server answered {answer.status}.")]
    lines += [f"  {error.get('pointer', '')}: {error.get('reason', '')}" for error in problem.get("errors") or []]
    if problem.get("hint"):
        lines.append(f"Hint: {problem['hint']}")
    if problem.get("code"):
        lines.append(f"({answer.status} {problem['code']}, request {problem.get('request_id', '')})")
    status = Exit.CONFLICT if answer.status == 409 else Exit.WRONG_USE if answer.status in WRONG_USE else Exit.BADLY
    return Ended(printable("\n".join(lines)), status)


def printable(text: str) -> str:
    """Text from elsewhere without what could move a terminal's cursor or change its title."""
    return "".join(letter for letter in text if letter in "\n\t" or (letter >= " " and not "\x7f" <= letter <= "\x9f"))
