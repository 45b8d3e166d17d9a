"""The engine's data: what a service is, where it goes, and the steps that take it there.

Everything here is immutable and turns into JSON and back, so that the next owner of an operation runs the same steps.
"""

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum


class StepKind(StrEnum):
    """What the host does for a step. HOOK, STOP, START and CHECK run a command of the service's administrator."""

    PREPARE = "prepare"  # the right user, the tools, room on the disk
    UPLOAD = "upload"  # the package comes in, is hashed and unpacked into a staging folder
    UNPACK = "unpack"  # the staging folder becomes releases/<version>, if the hash is right
    PULL = "pull"  # the image comes from its registry, unless the host has it
    HOOK = "hook"  # pre, post, and the service's own steps
    STOP = "stop"
    LINK = "link"  # current -> releases/<version>, by rename
    START = "start"
    CHECK = "check"  # the check command, until it passes or its time is over
    PRUNE = "prune"  # superfluous releases go to the trash
    UNLINK = "unlink"  # delete: current goes away
    REMOVE = "remove"  # delete: the releases go to the trash


class Acts(StrEnum):
    """Which version a command acts on: what it sees as VERSION and RELEASE."""

    OLD = "old"
    NEW = "new"


@dataclass(frozen=True)
class Step:
    """One state change and its undo. `what` is a sentence for people; commands are shell text, "" for none.

    `undoable` is False where the step's effect stays after an undo. `timeout` is in seconds, 0 for the step's default.
    `undo_check` is waited for after the undo command, `undo_timeout` seconds long.
    """

    name: str
    kind: StepKind
    what: str
    command: str = ""
    undo: str = ""
    check: str = ""
    undoable: bool = True
    acts: Acts = Acts.NEW
    undo_acts: Acts = Acts.OLD
    timeout: int = 0
    undo_check: str = ""
    undo_timeout: int = 0


@dataclass(frozen=True)
class ServiceSpec:
    """How a service is deployed, as its administrator defined it. `spec.py` checks it.

    `run_as`: the user of the host that its commands run as; "": the one that deploys. `private_releases`: only that
    user's group and the one that deploys may read its releases.
    """

    name: str
    start: str = ""
    stop: str = ""
    check: str = ""
    check_timeout: int = 60
    environment: dict[str, str] = field(default_factory=dict)
    pre: str = ""
    pre_undo: str = ""
    post: str = ""
    post_undo: str = ""
    keep_releases: int = 3
    limits: dict = field(default_factory=dict)
    steps: list[dict] = field(default_factory=list)
    run_as: str = ""
    private_releases: bool = False


@dataclass(frozen=True)
class Target:
    """One instance: the host it is on, and what its commands see of it. `base_path` is absolute; `instance` is its id,
    0 while it has none."""

    host: str
    ip: str
    base_path: str
    port: int = 0
    tag: str = ""
    weight: int = 100
    instance: int = 0


@dataclass(frozen=True)
class Atom:
    """The ordered steps of one operation: all of them happen on the host, or none.

    `directory` is the service's folder on the host; `old` and `new` are version names or "". `environment` is what
    every command sees besides VERSION, OTHER_VERSION, RELEASE, CURRENT, SHARED and, where one of the versions is an
    image, IMAGE: `old_image` or `new_image`, by digest. `size` is the package's, 0 if not known. `run_as` and
    `private_releases` are the service's.
    """

    action: str
    directory: str
    old: str
    new: str
    steps: tuple[Step, ...]
    environment: dict[str, str] = field(default_factory=dict)
    sha256: str = ""
    size: int = 0
    keep_releases: int = 3
    limits: dict = field(default_factory=dict)
    run_as: str = ""
    private_releases: bool = False
    old_image: str = ""
    new_image: str = ""

    @property
    def pulls(self) -> bool:
        return any(step.kind is StepKind.PULL for step in self.steps)

    @property
    def needs_package(self) -> bool:
        """Whether the host may ask for the package (it does not if the release is there already)."""
        return any(step.kind is StepKind.UPLOAD for step in self.steps)

    @property
    def likely_needs_package(self) -> bool:
        """Whether it pays to send the package without waiting for the host's `need`."""
        return self.needs_package and self.action in ("install", "upgrade")

    def describe(self) -> list[dict]:
        """Return the steps for a preview: name, what, command, undo, check, undoable."""
        keys = ("name", "what", "command", "undo", "check", "undoable")
        return [{key: getattr(step, key) for key in keys} for step in self.steps]

    def to_json(self) -> dict:
        """Return plain data for a JSON column; `from_json` makes the same atom of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict) -> "Atom":
        """Make the atom that `to_json` described. Unknown keys are left out, so that a newer row can be read."""
        steps = tuple(
            Step(
                **{
                    **_known(Step, step),
                    "kind": StepKind(step["kind"]),
                    "acts": Acts(step["acts"]),
                    "undo_acts": Acts(step["undo_acts"]),
                }
            )
            for step in data["steps"]
        )
        return cls(**{**_known(cls, data), "steps": steps})


def _known(cls: type, data: dict) -> dict:
    names = {each.name for each in fields(cls)}
    return {key: value for key, value in data.items() if key in names}
