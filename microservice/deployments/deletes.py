"""Deletes: stop instances on their hosts, remove them there, and then their rows."""

from dataclasses import dataclass
from typing import ClassVar

from access.callers import Caller
from asset.strategy import Strategy

from ..models import Deployment, MicroService
from ..status import MAY_DELETE, STATUS_DURING, Action
from . import enqueue, environments, notes
from .create import check_right
from .prepared import OnInstances
from .selection import find_instances
from .start import start
from .target_rows import Move, TargetRow
from .targets import TargetSelection
from .timing import NOW, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A request to delete instances (ids)."""

    kind: ClassVar[str] = "delete"
    service: MicroService
    instances: tuple[int, ...]
    note: str = ""
    when: Timing = NOW
    plan_token: None = None


def delete(
    caller: Caller, service: MicroService, instances: tuple[int, ...], *, note: str = "", when: Timing = NOW
) -> Deployment:
    """Stop instances (ids) on their hosts, remove them there, and then their rows."""
    request = Deletion(service=service, instances=instances, note=note, when=when)
    deployment = start(caller, request, prepare(caller, request))
    assert deployment is not None
    return deployment


def prepare(caller: Caller, request: Deletion) -> OnInstances:
    """Look up a delete. Raise the Problems known before any lock."""
    service = request.service
    check_right(caller, service)
    ids = find_instances(service, request.instances)
    selection = TargetSelection(
        service, MAY_DELETE, ids=ids, pointer="/instances", force=True, new_status=STATUS_DURING[Action.DELETE]
    )
    selection, environment = environments.stay_within(selection, None)
    deployment = Deployment(
        microservice=service,
        action=Action.DELETE,
        environment=environment,
        strategy=Strategy(max_failures=len(ids)).to_json(),
        note=notes.clean(request.note),
    )
    return OnInstances(
        deployment=deployment,
        selection=selection,
        source=lambda: enqueue.from_request(deployment),
        own_moves=lambda: _removes,
    )


def _removes(row: TargetRow) -> Move:
    return Action.DELETE, row.version_id, None
