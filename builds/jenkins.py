"""Jenkins, by its remote API: a job with parameters, its queue item, then its build."""

import base64
import json
import re
import urllib.parse
from dataclasses import dataclass
from typing import Any

from integrations.http_client import Unreachable
from messages import Message
from microservice.status import BuildStatus

from .error_sentence import error_sentence
from .providers import (
    MAX_REFERENCE,
    BuildRefused,
    BuildState,
    Job,
    ProviderUnreachable,
    clean_text,
    commit_hash,
    positive_id,
    web_url,
    with_words,
)
from .server_session import DIRECT, ServerSession

_ENDED = {
    "SUCCESS": (BuildStatus.SUCCESS, ""),
    "UNSTABLE": (BuildStatus.FAILED, "jenkins_build.unstable"),
    "FAILURE": (BuildStatus.FAILED, "jenkins_build.failed"),
    "NOT_BUILT": (BuildStatus.FAILED, "jenkins_build.not_built"),
    "ABORTED": (BuildStatus.FAILED, "jenkins_build.cancelled"),
}
_REFERENCE = re.compile(r"(queue|build):(/[^\s?#]*)\Z")


class _Broken(ProviderUnreachable):
    """Jenkins answered with an internal error (5xx)."""


@dataclass(frozen=True)
class Jenkins:
    """`url`: the server. `username` and `token`: an API token, which needs no CSRF crumb."""

    url: str
    username: str
    token: str
    session: ServerSession = DIRECT

    def commit(self, job: Job) -> str:
        return ""  # only the build itself knows

    def start(self, job: Job) -> str:
        path = self._path(job.url)
        body = urllib.parse.urlencode({**job.variables(), "REF": job.ref}).encode()
        try:
            _, headers = self._ask(f"{path}/buildWithParameters", body)
        except _Broken as error:
            self._refuse_unfit(path, error)
            raise
        location = _path_of(headers.get("location"))
        if "/queue/item/" not in location:
            raise ProviderUnreachable("jenkins_invalid.queue_item", sent=True)
        return self._reference("queue", location)

    def _refuse_unfit(self, path: str, error: _Broken) -> None:
        """Raise BuildRefused if the job cannot be built with parameters: then nothing was started.

        For such a job Jenkins answers 500, often without saying so; the job's own description tells.
        """
        tree = urllib.parse.quote("buildable,property[parameterDefinitions[name]]")
        try:
            job = self._json(f"{path}/api/json?tree={tree}")
        except (BuildRefused, ProviderUnreachable):
            return
        properties = job.get("property")
        if job.get("buildable") is False:
            reason = "not_buildable"
        elif isinstance(properties, list) and not any(entry.get("parameterDefinitions") for entry in _list(properties)):
            reason = "not_parameterized"
        else:
            return
        words = str(error.message.params.get("words", ""))
        raise BuildRefused(with_words(f"jenkins_job.{reason}", words, status=500))

    def find(self, job: Job) -> str:
        tree = "builds[number,actions[parameters[name,value]]]{0,20}"
        answer = self._json(f"{self._path(job.url)}/api/json?tree={urllib.parse.quote(tree)}")
        for build in _list(answer.get("builds"))[:20]:
            if str(_parameters(build).get("VERSION_ID")) == str(job.version_id) and positive_id(build.get("number")):
                reference = f"build:{self._path(job.url)}/{build['number']}"
                if reference not in job.others:
                    return reference
        return ""

    def cancel(self, reference: str) -> None:
        match = _REFERENCE.match(reference)
        if not match:
            raise BuildRefused("jenkins_invalid.reference")
        if match[1] == "build":
            self._ask(f"{match[2]}/stop", b"")
            return
        try:
            self._ask(f"/queue/cancelItem?id={match[2].rpartition('/')[2]}", b"")
        except BuildRefused:  # Jenkins answers 404 where it has cancelled the item: the next poll shows it
            pass

    def latest_try(self, job: Job, reference: str) -> str:
        return self.find(job) or reference  # a rebuild, replay or restart gets a new number

    def look(self, reference: str) -> BuildState:
        match = _REFERENCE.match(reference)
        if not match:
            raise BuildRefused("jenkins_invalid.reference")
        answer = self._json(f"{match[2]}/api/json")
        if match[1] == "build":
            return _build(answer)
        if answer.get("cancelled"):
            return BuildState(BuildStatus.FAILED, Message("jenkins_queue.cancelled"))
        executable = answer.get("executable")
        if not isinstance(executable, dict):
            return BuildState(
                BuildStatus.BUILDING, with_words("jenkins_queue.waiting", clean_text(answer.get("why"), 300))
            )
        return BuildState(
            BuildStatus.BUILDING,
            url=web_url(executable.get("url")),
            reference=self._reference("build", _path_of(executable.get("url"))),
        )

    def _reference(self, kind: str, path: str) -> str:
        reference = f"{kind}:{self._below(path).rstrip('/')}"
        if len(reference) > MAX_REFERENCE or not _REFERENCE.match(reference):
            raise ProviderUnreachable("jenkins_invalid", sent=True)
        return reference

    def _path(self, url: str) -> str:
        """Return the job's path below the server's. build_url is the URL of the job, or its path."""
        path = self._below(_quoted(urllib.parse.urlsplit(url).path)).rstrip("/")
        if "/job/" not in f"{path}/":
            raise BuildRefused("build_url_invalid.jenkins", url=url[:100])
        return path

    def _below(self, path: str) -> str:
        """Return the path below the server's. Only the path counts: the token never goes to another server."""
        return "/" + path.removeprefix(urllib.parse.urlsplit(self.url).path.rstrip("/")).strip("/")

    def _json(self, path: str) -> dict[str, Any]:
        raw, _ = self._ask(path)
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise ProviderUnreachable("jenkins_invalid.json", answered=True) from error
        if not isinstance(answer, dict):
            raise ProviderUnreachable("jenkins_invalid", answered=True)
        return answer

    def _ask(self, path: str, body: bytes | None = None) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers, with names in lower case."""
        login = base64.b64encode(f"{self.username}:{self.token}".encode()).decode()
        sends = body is not None
        try:
            reply = self.session.exchange(self.url.rstrip("/") + path, body, {"Authorization": f"Basic {login}"})
        except Unreachable as error:
            raise ProviderUnreachable("jenkins_unreachable", sent=sends and error.sent, words=error.message) from error
        code = reply.status
        if 200 <= code < 300 or (sends and code in (301, 302, 303)):
            return reply.body, reply.headers
        words = error_sentence(reply.headers, reply.body, (self.token, login))
        if 400 <= code < 500 and code not in (408, 429):
            raise BuildRefused(with_words("jenkins_refused", words, status=code))
        kind = _Broken if code >= 500 else ProviderUnreachable
        raise kind(with_words("jenkins_error", words, status=code), sent=sends, answered=code < 500)


def _quoted(path: str) -> str:
    """Quote a path for a request: the name of a job may hold spaces and Chinese, typed or copied from a browser."""
    return re.sub("%(?![0-9A-Fa-f]{2})", "%25", urllib.parse.quote(path, safe="/%:@!$&'()*+,;=~-._"))


def _path_of(address: object) -> str:
    """Return the path of a URL that a server sent, or "" if it is not valid."""
    try:
        return _quoted(urllib.parse.urlsplit(address).path) if isinstance(address, str) else ""
    except ValueError:
        return ""


def _list(value: object) -> list[Any]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _build(answer: dict[str, Any]) -> BuildState:
    revisions = [
        action["lastBuiltRevision"]
        for action in _list(answer.get("actions"))
        if isinstance(action.get("lastBuiltRevision"), dict)
    ]
    commit = commit_hash(revisions[0].get("SHA1")) if revisions else ""
    url = web_url(answer.get("url"))
    if answer.get("building") or (answer.get("result") is None and "building" in answer):
        return BuildState(BuildStatus.BUILDING, commit=commit, url=url)
    result = clean_text(answer.get("result"), 40)
    if result not in _ENDED:
        raise ProviderUnreachable("jenkins_invalid.result", result=result)
    status, code = _ENDED[result]
    return BuildState(status, Message(code) if code else None, commit=commit, url=url)


def _parameters(build: dict[str, Any]) -> dict[str, Any]:
    return {
        one["name"]: one.get("value")
        for action in _list(build.get("actions"))
        for one in _list(action.get("parameters"))
        if isinstance(one.get("name"), str)
    }
