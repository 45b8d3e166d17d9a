"""An upgrade or a revert as it is asked for: all that can be told of it before anything is locked."""

from access.callers import Caller
from access.problems import invalid

from ..models import MicroService, MicroServiceVersion
from ..status import MAY_CHANGE_VERSION, WHILE, Action
from . import placement, selection
from .destinations import BETWEEN_VERSIONS, destination
from .rollout import Strategy
from .targets import Wish


def wish_of(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    action: str,
    host: object,
    instances: object,
    dest_version: int | None,
    on_locked: str | None = None,
    strategy: object = None,
    force: bool = False,
    allow_bad: bool = False,
) -> tuple[Wish, MicroServiceVersion, Strategy]:
    """Everything about a request that can be checked before anything is locked. Also what a preview starts from."""
    if action not in BETWEEN_VERSIONS:
        raise invalid("/action", "must be upgrade or revert", code="unknown_action")
    if on_locked not in (None, "refuse", "skip"):
        raise invalid("/on_locked", "must be refuse or skip")
    course = Strategy.parse(strategy)
    dest = destination(caller, service, version, Action(action), dest_version, allow_bad)
    where = selection.targets_of(service, host, instances, version)
    skip = on_locked == "skip" or (on_locked is None and not where.is_named)
    wish = Wish(
        service,
        MAY_CHANGE_VERSION,
        version,
        where.instances,
        where.hosts,
        where.pointer,
        force,
        skip,
        kept_out=placement.kept_out(service),
        becomes=WHILE[Action(action)],
    )
    return wish, dest, course
