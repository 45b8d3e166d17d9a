"""GitLab, by its pipeline API. The only file that imports python-gitlab."""

from dataclasses import dataclass
from urllib.parse import unquote

import gitlab
import requests
from gitlab.exceptions import GitlabAuthenticationError, GitlabError
from gitlab.v4.objects import Project

from integrations.projects import below
from microservice.status import BuildStatus

from .providers import Job, Refused, Seen, Silent, address_of, commit_of, number_of, plain
from .refusal_text import LONGEST, said, with_sentence
from .server_session import DIRECT, Line

ONCE = {"obey_rate_limit": False}  # the pause that GitLab asks for is made between moves, not inside one
LOOK_BACK = 20  # pipelines of the ref that are looked through for a lost one
_GOING_ON = frozenset(
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
    "failed": (BuildStatus.FAILED, "The pipeline failed"),
    "canceled": (BuildStatus.FAILED, "The pipeline was cancelled"),
    "skipped": (BuildStatus.FAILED, "The pipeline was skipped"),
}


def status_of(word: str) -> tuple[BuildStatus, str]:
    """What a pipeline's status means here, and its reason. Raises Silent for a word that GitLab does not document."""
    if word in _GOING_ON:
        return BuildStatus.BUILDING, ""
    if word not in _ENDED:
        raise Silent(f"GitLab says a pipeline is {plain(word, 40)!r}, which is none of its documented statuses")
    return _ENDED[word]


@dataclass(frozen=True)
class GitLab:
    """`url`: the server. `token` needs the scope api."""

    url: str
    token: str
    line: Line = DIRECT

    def commit(self, job: Job) -> str:
        found = self._ask(lambda: self._project(job.url).commits.get(job.ref, **ONCE).id)
        if commit := commit_of(found):
            return commit
        raise Silent("GitLab answered without a commit")

    def start(self, job: Job) -> str:
        variables = [{"key": name, "value": value} for name, value in job.variables().items()]
        project = self._project(job.url)
        made = self._ask(lambda: project.pipelines.create({"ref": job.ref, "variables": variables}, **ONCE), sends=True)
        return self._reference(project, self._ask(lambda: made.id, sends=True))

    def find(self, job: Job) -> str:
        project = self._project(job.url)
        wanted = job.variables()
        recent = self._ask(lambda: project.pipelines.list(ref=job.ref, per_page=LOOK_BACK, get_all=False, **ONCE))
        for pipeline in recent[:LOOK_BACK]:  # whatever was asked for, it may send more
            rows = self._ask(lambda one=pipeline: one.variables.list(per_page=100, get_all=False, **ONCE))
            if self._ask(
                lambda rows=rows: any(row.key == "VERSION_ID" and row.value == wanted["VERSION_ID"] for row in rows)
            ):
                reference = self._reference(project, self._ask(lambda one=pipeline: one.id))
                if reference not in job.others:
                    return reference
        return ""

    def again(self, job: Job, reference: str) -> str:
        return reference  # a pipeline whose jobs are retried keeps its number

    def look(self, reference: str) -> Seen:
        path, _, number = reference.rpartition("#")
        pipeline = self._ask(lambda: self._server().projects.get(path, lazy=True).pipelines.get(int(number), **ONCE))
        status, detail = status_of(str(self._ask(lambda: pipeline.status)))
        if detail:
            detail = with_sentence(detail, plain(pipeline.attributes.get("yaml_errors"), LONGEST))
        return Seen(
            status,
            detail,
            commit=commit_of(pipeline.attributes.get("sha")),
            url=address_of(pipeline.attributes.get("web_url")),
        )

    def _server(self) -> gitlab.Gitlab:
        return gitlab.Gitlab(
            self.url, private_token=self.token, session=self.line.session(self.url), retry_transient_errors=False
        )

    def _project(self, url: str) -> Project:
        """By the path of its address: https://gitlab.example/team/shop(.git) is team/shop."""
        path = unquote(below(self.url, url)).removesuffix(".git")
        if not path:
            raise Refused(f"The service's build_url names no project: {url[:100]}")
        return self._server().projects.get(path, lazy=True)

    @staticmethod
    def _reference(project: Project, number: object) -> str:
        if not number_of(number):
            raise Silent("GitLab answered without a pipeline's id", sent=True)
        return f"{unquote(str(project.encoded_id))}#{number}"

    def _ask(self, call, sends: bool = False):
        try:
            return call()
        except GitlabError as error:
            code = error.response_code or 0
            # Its body and not what python-gitlab made of it, which may be a dictionary.
            sentence = said({}, error.response_body or b"", (self.token,))
            if isinstance(error, GitlabAuthenticationError):
                raise Refused(with_sentence("GitLab does not accept the token", sentence)) from error
            if 400 <= code < 500 and code not in (408, 429):
                raise Refused(with_sentence(f"GitLab refused ({code})", sentence)) from error
            fact = f"GitLab answered {code or 'nothing that makes sense'}"
            raise Silent(with_sentence(fact, sentence), sent=sends, answered=code < 500) from error
        except requests.ConnectTimeout as error:
            raise Silent("GitLab cannot be reached: timeout") from error
        except (requests.RequestException, OSError) as error:
            raise Silent(f"GitLab does not answer: {type(error).__name__}", sent=sends) from error
        # JSON of another shape than documented, or nested without end.
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise Silent("GitLab's answer makes no sense", sent=sends, answered=True) from error
