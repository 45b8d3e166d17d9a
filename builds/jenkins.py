"""Jenkins, by its remote API: a job with parameters, its queue item, then its build."""
import base64
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from microservice.status import BuildStatus

from .line import DIRECT, Line
from .origin import Job, Refused, Seen, Silent

TIMEOUT = 8  # seconds of one request
LARGEST = 4 * 1024 * 1024  # bytes of an answer
_ENDED = {
    "SUCCESS": (BuildStatus.SUCCESS, ""),
    "UNSTABLE": (BuildStatus.FAILED, "The build is unstable: tests failed"),
    "FAILURE": (BuildStatus.FAILED, "The build failed"),
    "NOT_BUILT": (BuildStatus.FAILED, "The build was not done"),
    "ABORTED": (BuildStatus.FAILED, "The build was cancelled"),
}
_REFERENCE = re.compile(r"(queue|build):(/[^\s?#]*)\Z")


@dataclass(frozen=True)
class Jenkins:
    """`url`: the server. `username` and `token`: an API token, which needs no CSRF crumb."""

    url: str
    username: str
    token: str
    line: Line = DIRECT

    def commit(self, job: Job) -> str:
        return ""  # only the build itself finds out

    def start(self, job: Job) -> str:
        path = self._path(job.url)
        body = urllib.parse.urlencode({**job.variables(), "REF": job.ref}).encode()
        _, headers = self._ask(f"{path}/buildWithParameters", body)
        where = urllib.parse.urlsplit(headers.get("Location", "")).path
        if "/queue/item/" not in where:
            raise Silent("Jenkins answered without a queue item", sent=True)
        return f"queue:{self._below(where).rstrip('/')}"

    def find(self, job: Job) -> str:
        tree = "builds[number,actions[parameters[name,value]]]{0,20}"
        told = self._json(f"{self._path(job.url)}/api/json?tree={urllib.parse.quote(tree)}")
        for build in told.get("builds") or []:
            if str(_parameters(build).get("VERSION_ID")) == str(job.version_id):
                return f"build:{self._path(job.url)}/{int(build['number'])}"
        return ""

    def look(self, reference: str) -> Seen:
        found = _REFERENCE.match(reference)
        if not found:
            raise Refused("This is no reference of a Jenkins build")
        told = self._json(f"{found[2]}/api/json")
        if found[1] == "build":
            return _build(told)
        if told.get("cancelled"):
            return Seen(BuildStatus.FAILED, "The build was cancelled while it waited in the queue")
        there = told.get("executable")
        if not there:
            return Seen(BuildStatus.BUILDING, str(told.get("why") or "waits in the queue")[:300])
        address = str(there.get("url", ""))
        below = self._below(urllib.parse.urlsplit(address).path).rstrip("/")
        return Seen(BuildStatus.BUILDING, url=address[:500], reference=f"build:{below}")

    def _path(self, url: str) -> str:
        """The job's path below the server's: build_url is the job's address, or the path of it."""
        path = self._below(urllib.parse.urlsplit(url).path).rstrip("/")
        if "/job/" not in f"{path}/":
            raise Refused(f"The service's build_url names no Jenkins job (…/job/name): {url[:100]}")
        return path

    def _below(self, path: str) -> str:
        """Only the path counts: whatever server an answer names, this one is asked, with its own token."""
        return "/" + path.removeprefix(urllib.parse.urlsplit(self.url).path.rstrip("/")).strip("/")

    def _json(self, path: str) -> dict[str, Any]:
        raw, _ = self._ask(path)
        try:
            told = json.loads(raw)
        except ValueError as error:
            raise Silent("Jenkins answered something that is not JSON") from error
        if not isinstance(told, dict):
            raise Silent("Jenkins' answer makes no sense")
        return told

    def _ask(self, path: str, body: bytes | None = None) -> tuple[bytes, Any]:
        login = base64.b64encode(f"{self.username}:{self.token}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - the settings admit http and https only
            self.url.rstrip("/") + path, body, {"Authorization": f"Basic {login}"})
        opener = urllib.request.build_opener(
            _NoRedirect(), urllib.request.ProxyHandler(self.line.proxies),
            urllib.request.HTTPSHandler(context=self.line.context or ssl.create_default_context()))
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                return answer.read(LARGEST), answer.headers
        except urllib.error.HTTPError as error:
            if error.code in (301, 302, 303) and body is not None and error.headers.get("Location"):
                return b"", error.headers
            if 400 <= error.code < 500 and error.code not in (408, 429):
                raise Refused(f"Jenkins refused ({error.code})") from error
            raise Silent(f"Jenkins answered {error.code}", sent=body is not None) from error
        except (OSError, ValueError) as error:
            raise Silent(f"Jenkins does not answer: {type(error).__name__}", sent=body is not None) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def _build(told: dict[str, Any]) -> Seen:
    commit = next((str(action["lastBuiltRevision"].get("SHA1", "")) for action in told.get("actions") or []
                   if isinstance(action, dict) and isinstance(action.get("lastBuiltRevision"), dict)), "")
    url = str(told.get("url") or "")[:500]
    if told.get("building") or (told.get("result") is None and "building" in told):
        return Seen(BuildStatus.BUILDING, commit=commit, url=url)
    result = str(told.get("result"))
    if result not in _ENDED:
        raise Silent(f"Jenkins says a build is {result[:40]!r}, which is none of its documented results")
    status, detail = _ENDED[result]
    return Seen(status, detail, commit=commit, url=url)


def _parameters(build: dict[str, Any]) -> dict[str, Any]:
    return {one.get("name"): one.get("value") for action in build.get("actions") or [] if isinstance(action, dict)
            for one in action.get("parameters") or []}
