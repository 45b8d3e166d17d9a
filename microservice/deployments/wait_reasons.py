"""Why a deployment waits, decided from values alone: no database, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from asset.models import Environment
from messages import Message
from messages.rendering import render

DEFAULT_HOURS = 24  # that something waits where it is in no environment


class Kind(StrEnum):
    """What a deployment waits for."""

    APPROVAL = "approval"
    FREEZE = "freeze"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request decides whether it waits."""

    goes_back: bool = False  # only to older versions
    repeats: bool = False  # what failed: that began under the same rules
    runs_nothing: bool = False  # it records what runs already
    by_token: bool = False
    start_at: datetime | None = None
    moved: bool = False  # its plan is no longer the one that was asked for
    overridden: bool = False


@dataclass(frozen=True, slots=True)
class Frozen:
    """A freeze that holds now."""

    name: str
    until: datetime
    spares_reverts: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """What a deployment waits for: `need` people, of whom `have` have said yes; or the time `until`."""

    kind: Kind
    until: datetime | None = None
    need: int = 0
    have: int = 0
    team: str = ""  # whose members are asked; "": whoever may deploy the service
    names: tuple[str, ...] = ()  # of the freezes

    @property
    def message(self) -> Message:
        until = f"{self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
        if self.kind == Kind.APPROVAL:
            code = "waits.approval_of_team" if self.team else "waits.approval"
            return Message(code, {"have": self.have, "need": self.need, "team": self.team})
        if self.kind == Kind.FREEZE:
            return Message("waits.freeze", {"names": list(self.names), "until": until})
        return Message("waits.schedule", {"until": until})

    def as_json(self) -> dict[str, Any]:
        """Return it as the API does."""
        return {
            "kind": str(self.kind),
            "until": self.until,
            "need": self.need,
            "have": self.have,
            "team": self.team,
            "names": list(self.names),
            "text": render(self.message),
        }


def needed(environment: Environment | None, asked: Asked) -> int:
    """Return how many people must say yes."""
    need = 0
    is_asked_about = not asked.repeats and not asked.runs_nothing
    if environment and is_asked_about and (environment.approve_reverts or not asked.goes_back):
        need = environment.approvals
        if asked.by_token and not environment.tokens_deploy:
            need = max(need, 1)
    return max(need, 1) if asked.moved else need


def reasons(
    environment: Environment | None, asked: Asked, frozen: Iterable[Frozen], yes: int, now: datetime
) -> tuple[Reason, ...]:
    """Return everything that holds up a deployment; () where it may begin. `yes`: how many people have said so."""
    if asked.overridden:
        return ()
    found = []
    need = needed(environment, asked)
    if yes < need:
        team = environment.approvers.name if environment and environment.approvers else ""
        found.append(Reason(Kind.APPROVAL, need=need, have=yes, team=team))
    if asked.start_at and asked.start_at > now:
        found.append(Reason(Kind.SCHEDULE, until=asked.start_at))
    holding = [] if asked.runs_nothing else [one for one in frozen if not (one.spares_reverts and _is_spared(asked))]
    if holding:
        until = max(one.until for one in holding)
        found.append(Reason(Kind.FREEZE, until=until, names=tuple(one.name for one in holding)))
    return tuple(found)


def _is_spared(asked: Asked) -> bool:
    return asked.goes_back or asked.repeats


def expires(environment: Environment | None, asked_at: datetime, found: Iterable[Reason]) -> datetime:
    """Return when it has waited too long: so many hours after it was asked for, or after it could have begun."""
    found = list(found)
    hours = environment.wait_hours if environment else DEFAULT_HOURS
    # While somebody is to approve it, a freeze is no time to wait for: one that comes again would have no end.
    kinds = {one.kind for one in found}
    untils = [one.until for one in found if one.until and (one.kind == Kind.SCHEDULE or Kind.APPROVAL not in kinds)]
    return max([asked_at, *untils]) + timedelta(hours=hours)


def next_look(found: Iterable[Reason], expiry: datetime) -> datetime:
    """Return when time alone may change something."""
    return min([expiry, *(one.until for one in found if one.until)])
