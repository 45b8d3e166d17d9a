"""The interface of every build provider, and the errors that builds raise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from access.masking import Mask
from access.secrets import Secret
from messages import Message
from messages.rendering import english
from microservice.status import BuildStatus

from .credentials import NONE, Credential


@dataclass(frozen=True, slots=True)
class Job:
    """One build to run. `url`: the repository or the job. `username`: who requested it. `refs`: patterns of the
    branches and tags that may be built; empty: all.

    `secrets` are for the build command only, `credential` for fetching only; both for git only. `own_keys`: whether the
    ssh keys of the worker's user may open the repository. `depth`: commits of history to fetch, 0: all.
    `others`: references of the version's earlier attempts.
    """

    build_id: int
    service_id: int
    service_name: str
    version_id: int
    version: str
    ref: str
    url: str
    command: str
    username: str
    refs: tuple[str, ...] = ()
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    credential: Credential = NONE
    own_keys: bool = True
    depth: int = 0
    others: frozenset[str] = frozenset()

    def secret_texts(self) -> list[str]:
        """Return what must not be seen in anything that the build prints."""
        return [*(secret.reveal() for secret in self.secrets.values()), *self.credential.secrets]

    def mask(self) -> Mask:
        """Return the mask that hides the secrets in everything that the build prints."""
        return Mask(self.secret_texts())

    def variables(self) -> dict[str, str]:
        """Return the parameters that every build server receives."""
        return {
            "SERVICE_ID": str(self.service_id),
            "VERSION_ID": str(self.version_id),
            "SERVICE_NAME": self.service_name,
            "USERNAME": self.username,
        }


@dataclass(frozen=True, slots=True)
class BuildState:
    """The progress of a build. `detail`: why it is in this state, `None` if there is nothing to say.

    `reference`: its new name at the provider, if that has changed (Jenkins: queue item → build).
    """

    status: BuildStatus
    detail: Message | None = None
    log: str = ""
    commit: str = ""
    url: str = ""
    reference: str = ""


class BuildProvider(Protocol):
    """A build server. Every call returns within seconds or raises ProviderUnreachable or BuildRefused."""

    def commit(self, job: Job) -> str:
        """Return the commit that the ref points at now, or "" if the provider cannot tell in advance."""

    def start(self, job: Job) -> str:
        """Start the build. Return the reference that `look` takes."""

    def find(self, job: Job) -> str:
        """Return the reference of a build whose start was not acknowledged, or "" if there is none."""

    def look(self, reference: str) -> BuildState:
        """Return the progress of the build."""

    def cancel(self, reference: str) -> None:
        """Ask the server to end a build that runs or waits there. It may take a while."""

    def latest_try(self, job: Job, reference: str) -> str:
        """Return the reference of the latest try of an ended build: unchanged if the provider keeps the name."""


MAX_REFERENCE = 500
MAX_URL = 500


def clean_text(value: object, max_length: int) -> str:
    """Return a text from a server, fit for a row: short, and of characters that every database accepts."""
    text = value if isinstance(value, str) else ""
    return "".join(char if char.isprintable() else " " for char in text[:max_length]).strip()


def web_url(value: object) -> str:
    """Return a web URL from a server, or "" for anything else."""
    text = value if isinstance(value, str) and len(value) <= MAX_URL else ""
    return text if text.startswith(("http://", "https://")) and text.isprintable() else ""


def commit_hash(value: object) -> str:
    """Return a commit hash from a server, or "" for anything else."""
    text = value if isinstance(value, str) else ""
    return text if 7 <= len(text) <= 64 and set(text) <= set("0123456789abcdef") else ""


def positive_id(value: object) -> int:
    """Return an id from a server, or 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else 0


def with_words(code: str, words: str, **params: Any) -> Message:
    """Return the message `code`, or `code.said` with the server's own words if it said anything."""
    return Message(f"{code}.said", {**params, "words": words}) if words else Message(code, params)


class BuildError(Exception):
    """A build that cannot go on. `message`: why, without secrets. The text of the exception is its English sentence."""

    def __init__(self, message: Message | str, **params: Any):
        """Take a message, or the code of one with its parameters."""
        self.message = message if isinstance(message, Message) else Message(message, params)
        super().__init__(self.message)

    def __str__(self) -> str:
        return english(self.message)


class BuildRefused(BuildError):
    """The provider answered, and will not build it; or the build failed."""


class BuildTimedOut(BuildError):
    """The build took longer than its limit."""


class ProviderUnreachable(BuildError):
    """The provider did not answer, or its answer is invalid.

    `sent`: it may have done what was asked all the same. `answered`: it is there, so another request may succeed.
    """

    def __init__(self, message: Message | str, sent: bool = False, answered: bool = False, **params: Any):
        super().__init__(message, **params)
        self.sent, self.answered = sent, answered
