"""An upgrade, a revert or a deploy as a value, made where the request comes in; taken by request and preview alike."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal

from access.problems import invalid
from asset.labels import Selector
from asset.strategy import InvalidStrategy, Strategy

from ..models import MicroService, MicroServiceVersion
from ..status import Action
from .selection import HostNames
from .timing import NOW, Timing

VERSION_ACTIONS = (Action.UPGRADE, Action.REVERT)


class OnLocked(StrEnum):
    """What happens to a target that another deployment has locked."""

    REFUSE = "refuse"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChange:
    """A request to take instances to `dest_version`. Its fields are parsed; nothing is looked up yet."""

    kind: ClassVar[str] = "change"
    service: MicroService
    action: Action  # UPGRADE or REVERT of what runs `version`; DEPLOY of what runs any other: each by its own action
    dest_version: int | str  # the id of a version; for DEPLOY also its name
    version: MicroServiceVersion | None = None  # what the instances run; None for DEPLOY
    host: HostNames | Literal["all"] | None = None  # one of host, instances and labels says where
    instances: tuple[int, ...] | None = None
    labels: Selector | None = None  # hosts that have these
    environment: int | str | None = None  # by id or name; "": what is in none; None: where all targets are
    on_locked: OnLocked | None = None  # None: refuse targets that are named, skip those of "all"
    strategy: Strategy | None = None  # None: the service's own
    force: bool = False
    upgrades_only: bool = False  # DEPLOY: refuse what runs a newer version meanwhile
    allow_bad: bool = False
    mark_bad: bool = False  # a revert: `version`, which it leaves
    reason: str = ""  # why that version is bad
    note: str = ""  # why this is requested
    plan_token: str | None = None  # of the plan that was shown
    when: Timing = NOW


def parse_action(text: str) -> Action:
    """Return UPGRADE or REVERT. Raise Problem 422 `unknown_action` for any other word."""
    if text not in VERSION_ACTIONS:
        raise invalid("/path/action", "not_one_of", "unknown_action", choices=[str(one) for one in VERSION_ACTIONS])
    return Action(text)


def parse_strategy(value: object) -> Strategy | None:
    """Return the strategy of a request's JSON; None for null. Raise Problem 422 that points at the wrong field."""
    if value is None:
        return None
    try:
        return Strategy.parse(value)
    except InvalidStrategy as error:
        raise invalid(f"/strategy{error.path}", error.reason) from None
