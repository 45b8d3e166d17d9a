"""GitLab's pipeline API. The only module that imports python-gitlab."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote

import gitlab
import requests
from gitlab.exceptions import GitlabAuthenticationError, GitlabError
from gitlab.v4.objects import Project

from integrations.projects import below
from messages import Message
from microservice.status import BuildStatus

from .error_sentence import MAX_LENGTH, error_sentence
from .providers import (
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

Answer = TypeVar("Answer")

ONCE = {"obey_rate_limit": False}  # rate limits are respected between requests, never by sleeping inside one
MAX_PIPELINES = 20  # of the ref that are searched for a lost one
_OPEN = frozenset(
    {
        "created",
        "waiting_for_resource",
        "preparing",
        "pending",
        "running",
        "scheduled",
        "manual",
        "waiting_for_callback",
        "canceling",
    }
)
_ENDED = {
    "success": (BuildStatus.SUCCESS, ""),
    "failed": (BuildStatus.FAILED, "gitlab_pipeline.failed"),
    "canceled": (BuildStatus.FAILED, "gitlab_pipeline.cancelled"),
    "skipped": (BuildStatus.FAILED, "gitlab_pipeline.skipped"),
}


def status_of(word: str) -> tuple[BuildStatus, str]:
    """Return the build status for a pipeline's status, and the code of its reason.

    Raise ProviderUnreachable for a status that GitLab does not document.
    """
    if word in _OPEN:
        return BuildStatus.BUILDING, ""
    if word not in _ENDED:
        raise ProviderUnreachable("gitlab_invalid.status", status=clean_text(word, 40))
    return _ENDED[word]


def _reason(code: str, words: str) -> Message | None:
    return with_words(code, words) if code else None


@dataclass(frozen=True)
class GitLab:
    """`url`: the server. `token` needs the scope api."""

    url: str
    token: str
    session: ServerSession = DIRECT

    def commit(self, job: Job) -> str:
        revision = self._ask(lambda: self._project(job.url).commits.get(job.ref, **ONCE).id)
        if commit := commit_hash(revision):
            return commit
        raise ProviderUnreachable("gitlab_invalid.commit")

    def start(self, job: Job) -> str:
        variables = [{"key": name, "value": value} for name, value in job.variables().items()]
        project = self._project(job.url)
        pipeline = self._ask(
            lambda: project.pipelines.create({"ref": job.ref, "variables": variables}, **ONCE), sends=True
        )
        return self._reference(project, self._ask(lambda: pipeline.id, sends=True))

    def find(self, job: Job) -> str:
        project = self._project(job.url)
        variables = job.variables()
        # A list, with get_all=False; python-gitlab's types do not say so where there is a **.
        recent: Any = self._ask(
            lambda: project.pipelines.list(ref=job.ref, per_page=MAX_PIPELINES, get_all=False, **ONCE)
        )
        for pipeline in recent[:MAX_PIPELINES]:  # the server may ignore per_page
            reference = self._reference_for(project, pipeline, variables["VERSION_ID"])
            if reference and reference not in job.others:
                return reference
        return ""

    def _reference_for(self, project: Project, pipeline: Any, version_id: str) -> str:
        """Return the reference of the pipeline if it was started for this version, else an empty text."""
        rows = self._ask(lambda: pipeline.variables.list(per_page=100, get_all=False, **ONCE))
        if not self._ask(lambda: any(row.key == "VERSION_ID" and row.value == version_id for row in rows)):
            return ""
        return self._reference(project, self._ask(lambda: pipeline.id))

    def cancel(self, reference: str) -> None:
        path, _, number = reference.rpartition("#")
        project = self._server().projects.get(path, lazy=True)
        self._ask(lambda: project.pipelines.get(int(number), lazy=True).cancel(**ONCE), sends=True)

    def latest_try(self, job: Job, reference: str) -> str:
        return reference  # a pipeline keeps its number when its jobs are retried

    def look(self, reference: str) -> BuildState:
        path, _, number = reference.rpartition("#")
        pipeline = self._ask(lambda: self._server().projects.get(path, lazy=True).pipelines.get(int(number), **ONCE))
        status, code = status_of(str(self._ask(lambda: pipeline.status)))
        errors = clean_text(pipeline.attributes.get("yaml_errors"), MAX_LENGTH)
        return BuildState(
            status,
            _reason(code, errors),
            commit=commit_hash(pipeline.attributes.get("sha")),
            url=web_url(pipeline.attributes.get("web_url")),
        )

    def _server(self) -> gitlab.Gitlab:
        return gitlab.Gitlab(
            self.url,
            private_token=self.token,
            session=self.session.requests_session(self.url),
            retry_transient_errors=False,
        )

    def _project(self, url: str) -> Project:
        """Return the project at a URL: https://gitlab.example/team/shop(.git) is team/shop."""
        path = unquote(below(self.url, url)).removesuffix(".git")
        if not path:
            raise BuildRefused("build_url_invalid.gitlab", url=url[:100])
        return self._server().projects.get(path, lazy=True)

    @staticmethod
    def _reference(project: Project, number: object) -> str:
        if not positive_id(number):
            raise ProviderUnreachable("gitlab_invalid.pipeline", sent=True)
        return f"{unquote(str(project.encoded_id))}#{number}"

    def _ask(self, call: Callable[[], Answer], sends: bool = False) -> Answer:
        try:
            return call()
        except GitlabError as error:
            code = error.response_code or 0
            # The body itself: python-gitlab may have parsed it into a dictionary.
            words = error_sentence({}, error.response_body or b"", (self.token,))
            if isinstance(error, GitlabAuthenticationError):
                raise BuildRefused(with_words("gitlab_refused.token", words)) from error
            if 400 <= code < 500 and code not in (408, 429):
                raise BuildRefused(with_words("gitlab_refused.status", words, status=code)) from error
            message = with_words("gitlab_error", words, status=code) if code else with_words("gitlab_invalid", words)
            raise ProviderUnreachable(message, sent=sends, answered=code < 500) from error
        except requests.ConnectTimeout as error:
            raise ProviderUnreachable("gitlab_unreachable.timeout") from error
        except (requests.RequestException, OSError) as error:
            raise ProviderUnreachable("gitlab_unreachable.error", sent=sends, error=type(error).__name__) from error
        # JSON of an undocumented shape, or nested too deeply.
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise ProviderUnreachable("gitlab_invalid", sent=sends, answered=True) from error
