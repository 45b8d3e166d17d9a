"""The one interface that every origin of builds has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from access.masking import Mask
from access.secrets import Secret
from microservice.status import BuildStatus

from .credentials import NONE, Credential


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be built. `url`: the repository or the job; `username`: who asked for it; `refs`: patterns of the
    branches and tags that are built, none: all.

    `secrets` are for the build command alone, and `credential` for fetching alone; both for git only. `own_keys`:
    whether the ssh keys of the worker's user may open the repository. `depth`: commits of the history, 0: all of it.
    `others`: references of the version's earlier attempts, which are not this one.
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

    def mask(self) -> Mask:
        """What must not be in anything that the build prints."""
        return Mask([*(secret.reveal() for secret in self.secrets.values()), *self.credential.secrets])

    def variables(self) -> dict[str, str]:
        """What every build server is told."""
        return {
            "SERVICE_ID": str(self.service_id),
            "VERSION_ID": str(self.version_id),
            "SERVICE_NAME": self.service_name,
            "USERNAME": self.username,
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a build is. `reference`: where it goes by another name from now on (Jenkins: queue item → build)."""

    status: BuildStatus
    detail: str = ""
    log: str = ""
    commit: str = ""
    url: str = ""
    reference: str = ""


class Origin(Protocol):
    """A build server. Every call answers within seconds or raises Silent or Refused."""

    def commit(self, job: Job) -> str:
        """The commit that the ref stands at now; empty where the origin cannot tell beforehand."""

    def start(self, job: Job) -> str:
        """Starts the build; returns the reference that `look` takes."""

    def find(self, job: Job) -> str:
        """The reference of a build that was started and whose answer was lost; empty where there is none."""

    def look(self, reference: str) -> Seen:
        """How far it is."""

    def again(self, job: Job, reference: str) -> str:
        """The reference of the newest try of a build that has ended: the same where the origin tries under one name."""


LONGEST_REFERENCE = 500
LONGEST_ADDRESS = 500


def plain(value: object, longest: int) -> str:
    """A text that a server sent, fit for a row: short, and of characters that every database takes."""
    text = value if isinstance(value, str) else ""
    return "".join(one if one.isprintable() else " " for one in text[:longest]).strip()


def address_of(value: object) -> str:
    """A web address that a server sent; empty for everything else."""
    text = value if isinstance(value, str) and len(value) <= LONGEST_ADDRESS else ""
    return text if text.startswith(("http://", "https://")) and text.isprintable() else ""


def commit_of(value: object) -> str:
    """The hash of a commit that a server sent; empty for everything else."""
    text = value if isinstance(value, str) else ""
    return text if 7 <= len(text) <= 64 and set(text) <= set("0123456789abcdef") else ""


def number_of(value: object) -> int:
    """An id that a server sent; 0 for everything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else 0


class Refused(Exception):
    """The origin answered, and will not do it. The text says why, for people, without secrets."""


class Silent(Exception):
    """The origin could not be asked, or answered nothing that makes sense. `sent`: it may have done it all the same;
    `answered`: it was asked and is there, so what it does not tell in one way it may tell in another."""

    def __init__(self, reason: str, sent: bool = False, answered: bool = False):
        super().__init__(reason)
        self.sent, self.answered = sent, answered
