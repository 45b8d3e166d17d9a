"""Jenkins, by its remote API: a job with parameters, its queue item, then its build."""

import base64
import json
import re
import urllib.parse
from dataclasses import dataclass
from typing import Any

from integrations.http_client import Unreachable
from microservice.status import BuildStatus

from .providers import LONGEST_REFERENCE, Job, Refused, Seen, Silent, address_of, commit_of, number_of, plain
from .refusal_text import said, with_sentence
from .server_session import DIRECT, Line

_ENDED = {
    "SUCCESS": (BuildStatus.SUCCESS, ""),
    "UNSTABLE": (BuildStatus.FAILED, "The build is unstable: tests failed"),
    "FAILURE": (BuildStatus.FAILED, "The build failed"),
    "NOT_BUILT": (BuildStatus.FAILED, "The build was not done"),
    "ABORTED": (BuildStatus.FAILED, "The build was cancelled"),
}
_REFERENCE = re.compile(r"(queue|build):(/[^\s?#]*)\Z")


class _Broken(Silent):
    """Jenkins answered with an error of its own."""


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
        try:
            _, headers = self._ask(f"{path}/buildWithParameters", body)
        except _Broken as error:
            self._refuse_unfit(path, str(error))
            raise
        where = _path_of(headers.get("location"))
        if "/queue/item/" not in where:
            raise Silent("Jenkins answered without a queue item", sent=True)
        return self._reference("queue", where)

    def _refuse_unfit(self, path: str, told: str) -> None:
        """Asked to build what it cannot build with parameters, Jenkins answers 500, often without the sentence that
        says so. The job itself tells. Raises Refused where that is the reason: then nothing was started."""
        tree = urllib.parse.quote("buildable,property[parameterDefinitions[name]]")
        try:
            job = self._json(f"{path}/api/json?tree={tree}")
        except (Refused, Silent):
            return
        properties = job.get("property")
        if job.get("buildable") is False:
            reason = "the job is not buildable"
        elif isinstance(properties, list) and not any(one.get("parameterDefinitions") for one in _list(properties)):
            reason = "the job is not parameterized"
        else:
            return
        raise Refused(told if reason.removeprefix("the job is ") in told else f"{told} ({reason})")

    def find(self, job: Job) -> str:
        tree = "builds[number,actions[parameters[name,value]]]{0,20}"
        told = self._json(f"{self._path(job.url)}/api/json?tree={urllib.parse.quote(tree)}")
        for build in _list(told.get("builds"))[:20]:
            if str(_parameters(build).get("VERSION_ID")) == str(job.version_id) and number_of(build.get("number")):
                reference = f"build:{self._path(job.url)}/{build['number']}"
                if reference not in job.others:
                    return reference
        return ""

    def again(self, job: Job, reference: str) -> str:
        return self.find(job) or reference  # what is rebuilt, replayed or restarted gets another number

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
        if not isinstance(there, dict):
            return Seen(BuildStatus.BUILDING, plain(told.get("why"), 300) or "waits in the queue")
        return Seen(
            BuildStatus.BUILDING,
            url=address_of(there.get("url")),
            reference=self._reference("build", _path_of(there.get("url"))),
        )

    def _reference(self, kind: str, path: str) -> str:
        reference = f"{kind}:{self._below(path).rstrip('/')}"
        if len(reference) > LONGEST_REFERENCE or not _REFERENCE.match(reference):
            raise Silent("Jenkins' answer makes no sense", sent=True)
        return reference

    def _path(self, url: str) -> str:
        """The job's path below the server's: build_url is the job's address, or the path of it."""
        path = self._below(_quoted(urllib.parse.urlsplit(url).path)).rstrip("/")
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
        except (ValueError, RecursionError) as error:
            raise Silent("Jenkins answered something that is not JSON", answered=True) from error
        if not isinstance(told, dict):
            raise Silent("Jenkins' answer makes no sense", answered=True)
        return told

    def _ask(self, path: str, body: bytes | None = None) -> tuple[bytes, dict[str, str]]:
        """The body and the headers, their names in lower case."""
        login = base64.b64encode(f"{self.username}:{self.token}".encode()).decode()
        sends = body is not None
        try:
            reply = self.line.ask(self.url.rstrip("/") + path, body, {"Authorization": f"Basic {login}"})
        except Unreachable as error:
            raise Silent(f"Jenkins does not answer: {error}", sent=sends and error.sent) from error
        code = reply.status
        if 200 <= code < 300 or (sends and code in (301, 302, 303)):
            return reply.body, reply.headers
        sentence = said(reply.headers, reply.body, (self.token, login))
        if 400 <= code < 500 and code not in (408, 429):
            raise Refused(with_sentence(f"Jenkins refused ({code})", sentence))
        kind = _Broken if code >= 500 else Silent
        raise kind(with_sentence(f"Jenkins answered {code}", sentence), sent=sends, answered=code < 500)


def _quoted(path: str) -> str:
    """A path as it is sent: a job's name may hold blanks and Chinese, as people type it or as a browser shows it."""
    return re.sub("%(?![0-9A-Fa-f]{2})", "%25", urllib.parse.quote(path, safe="/%:@!$&'()*+,;=~-._"))


def _path_of(address: object) -> str:
    """The path of an address that a server gave; empty where it is none."""
    try:
        return _quoted(urllib.parse.urlsplit(address).path) if isinstance(address, str) else ""
    except ValueError:
        return ""


def _list(value: object) -> list[Any]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _build(told: dict[str, Any]) -> Seen:
    revisions = [
        action["lastBuiltRevision"]
        for action in _list(told.get("actions"))
        if isinstance(action.get("lastBuiltRevision"), dict)
    ]
    commit = commit_of(revisions[0].get("SHA1")) if revisions else ""
    url = address_of(told.get("url"))
    if told.get("building") or (told.get("result") is None and "building" in told):
        return Seen(BuildStatus.BUILDING, commit=commit, url=url)
    result = plain(told.get("result"), 40)
    if result not in _ENDED:
        raise Silent(f"Jenkins says a build is {result!r}, which is none of its documented results")
    status, detail = _ENDED[result]
    return Seen(status, detail, commit=commit, url=url)


def _parameters(build: dict[str, Any]) -> dict[str, Any]:
    return {
        one["name"]: one.get("value")
        for action in _list(build.get("actions"))
        for one in _list(action.get("parameters"))
        if isinstance(one.get("name"), str)
    }
