"""The HTTP API over the standard library. What is safe to send again is sent again: a POST carries a key for that."""

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

import click

from .exits import Ended, Exit, OutOfTime
from .patience import TRIES, Patience

WRONG_USE = frozenset({400, 401, 403, 404, 405, 410, 413, 414, 415, 422})
FINAL = WRONG_USE | {409}  # no further try makes another answer of it
PASSING = frozenset({429, 502, 503, 504})  # worth another try, whoever asks


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: the JSON (None where there is none), the raw bytes and the headers."""

    status: int
    data: Any
    raw: bytes
    headers: dict[str, str]


class _Again(Exception):
    """No answer, or none that counts; `told`: the seconds after which the server wants to be asked again."""

    def __init__(self, reason: str, told: float | None = None, refusal: Ended | None = None):
        super().__init__(reason)
        self.told, self.refusal = told, refusal


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # a token is never carried to another address


class Client:
    """`Client(url, token).get("/services/")`; paths are below /api/v1. Raises Ended for everything that goes wrong.

    `patience` says how long a server is asked that does not answer.
    """

    def __init__(self, url: str, token: str, patience: Patience | None = None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Ended(f"{url!r} is no address: DEPLOYCTL_URL or --url must be http://… or https://…", Exit.WRONG_USE)
        if any(ord(letter) <= 32 or ord(letter) > 126 for letter in token):
            raise Ended("The token holds a character that no token has.", Exit.WRONG_USE)
        self._base, self._token = url.rstrip("/") + "/api/v1", token
        self._opener = urllib.request.build_opener(_NoRedirect())
        self.patience = patience or Patience()

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
        """`text`: what is asked for is no JSON. `timeout`: seconds of silence that one try bears."""
        known = {name: value for name, value in (query or {}).items() if value not in (None, "")}
        address = self._base + path + (f"?{urllib.parse.urlencode(known)}" if known else "")
        tried = 0
        while True:
            # One try may not outlast what the command may; a second more, for the answer that just then comes.
            bears = min(timeout, max(1.0, self.patience.left + 1))
            try:
                answer = self._try(method, address, body, headers or {}, bears, text, tried)
            except _Again as again:
                tried += 1
                self._rest(tried, again)
                continue
            if tried and self.patience.waits:
                click.echo(f"{self._base} answers again.", err=True)
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
        """One try. Raises _Again where another one may be better, Ended where not."""
        try:
            answer = self._once(method, address, body, headers, timeout)
        except urllib.error.URLError as error:
            # Where no connection came about, nothing was sent; what broke off later may have arrived.
            self.patience.reached |= isinstance(error.reason, ConnectionResetError | BrokenPipeError)
            raise _Again(f"{self._base} does not answer: {error.reason or error}") from None
        except (http.client.HTTPException, OSError) as error:
            self.patience.reached = True
            raise _Again(f"{self._base} does not answer: {error or type(error).__name__}") from None
        self.patience.reached = True
        if 200 <= answer.status < 300:
            if text or answer.data is not None or not answer.raw:
                return answer
            raise _Again(f"{self._base} answers something that is not JSON")
        if self._may_pass(method, answer, tried):
            raise _Again(f"{self._base} answers {answer.status}", _told(answer), _refused(answer))
        raise _refused(answer)

    def _may_pass(self, method: str, answer: Answer, tried: int) -> bool:
        code = answer.data.get("code") if isinstance(answer.data, dict) else None
        if answer.status in PASSING or code == "idempotency_in_progress":
            return True
        if method != "GET" and tried + 1 >= TRIES:  # it fails in the same way, and nothing was begun
            return False
        return self.patience.waits and answer.status not in FINAL

    def _rest(self, tried: int, again: _Again) -> None:
        pause = self.patience.pause(tried, again.told)
        if pause is None:
            if self.patience.waits and self.patience.reached:
                raise OutOfTime(f"{again}.")
            raise again.refusal or Ended(f"{again}.", Exit.BADLY)
        if self.patience.waits and tried == 1:
            click.echo(f"{again}. It is asked again.", err=True)
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
        except urllib.error.HTTPError as error:  # an answer like any other: reading it may break off too
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


def _told(answer: Answer) -> float | None:
    """The seconds of a Retry-After, which is a number of them or a moment; None where there is none."""
    told = answer.headers.get("Retry-After", "").strip()
    if told.isascii() and told.isdigit():
        return float(told[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


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
