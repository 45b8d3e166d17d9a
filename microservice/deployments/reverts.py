"""Send instances back to the version a deployment brought them from: a person's revert, or a strategy's own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet

from access.callers import SYSTEM, Caller
from access.problems import FieldError, Problem, invalid
from asset.labels import Selector
from asset.models import Asset, Environment
from asset.strategy import OnFailure, Strategy
from runtime.sql import among

from .. import catalog
from ..models import Deployment, Operation
from ..status import MAY_CHANGE_VERSION, Action, OperationStatus
from . import enqueue, environments, notes, placement
from .create import check_right, require_finished
from .destinations import check_bad, marked_bad
from .holds import hold
from .plan import Plan
from .prepared import OnInstances
from .refusals import refused_targets
from .selection import find_labelled
from .start import begin, start
from .target_rows import Move, TargetRow
from .targets import TargetSelection, has_operation
from .timing import NOW, Timing
from .version_change import VERSION_ACTIONS

_ALL = Q()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRevert:
    """A request to send back what a deployment changed. Its fields are parsed; nothing is looked up yet."""

    kind: ClassVar[str] = "revert"
    origin: Deployment
    hosts: tuple[int, ...] | None = None  # ids; None: every one that it changed
    labels: Selector | None = None  # instead of hosts: those of them that have these
    environment: int | str | None = None  # by id or name; "": what is in none; None: where all of them are
    strategy: Strategy | None = None  # None: default_strategy
    allow_bad: bool = False
    mark_bad: bool = False  # the version that they leave
    reason: str = ""  # why that version is bad
    plan_token: str | None = None  # of the plan that was shown
    note: str = ""  # why this is requested
    when: Timing = NOW


def revert(caller: Caller, request: DeploymentRevert) -> Deployment:
    """Send each instance that a deployment changed back to the version it came from."""
    deployment = start(caller, request, prepare(caller, request))
    assert deployment is not None
    return deployment


def preview_revert(caller: Caller, request: DeploymentRevert) -> Plan:
    """Return the plan of a revert. Raise the same Problems as the request itself would."""
    return hold.preview(caller, request, prepare(caller, request))


def prepare(caller: Caller, request: DeploymentRevert) -> OnInstances:
    """Look up a revert. Raise the Problems known before any lock."""
    origin = request.origin
    selection, deployment = _look_up(caller, request)

    def mark_bad(who: Caller) -> None:
        if request.mark_bad and origin.dest_version:
            catalog.mark_bad(who, origin.dest_version, request.reason)

    back = _chosen(origin, selection).values_list("from_version", flat=True)
    return replace(
        _back(origin, deployment, selection),
        refuse=lambda: catalog.refuse_deleted(back, "/path/id"),
        conclude=mark_bad,
    )


def default_strategy(origin: Deployment) -> Strategy:
    """Return how the deployment is reverted unless a request says otherwise: all at once, and no failure ends it."""
    return Strategy(max_failures=origin.operations.count())


def leads_to_bad(origin: Deployment) -> bool:
    """Return whether one of the versions that a revert of the deployment goes back to was marked bad."""
    return marked_bad(_succeeded(origin).values("from_version")).exists()


def _look_up(caller: Caller, request: DeploymentRevert) -> tuple[TargetSelection, Deployment]:
    """Return the targets of a revert and its deployment, not saved. Raise the Problems known before any lock."""
    origin = request.origin
    check_right(caller, origin.microservice)
    if origin.action in (Action.INSTALL, Action.DELETE):
        raise invalid("/path/id", "cannot_revert", deployment=origin.pk, action=origin.get_action_display())
    require_finished(origin)
    selection = _selection(origin, hosts=request.hosts)
    _refuse_unchanged_hosts(origin, selection)
    if request.labels is not None:
        changed = Asset.objects.filter(pk__in=selection.selected().values("host"))
        hosts = find_labelled(request.labels, changed, "wrong_target.no_labelled_host")
        selection = replace(selection, hosts=hosts, by_label=True, pointer="/labels")
    selection, environment = environments.stay_within(selection, request.environment)
    check_bad(caller, marked_bad(_chosen(origin, selection).values("from_version")), request.allow_bad, "/path/id")
    return selection, _deployment(origin, environment, request.strategy, note=notes.clean(request.note))


def _refuse_unchanged_hosts(origin: Deployment, selection: TargetSelection) -> None:
    """Raise Problem 422 that names each of the named hosts that the deployment did not change."""
    if selection.hosts is None:
        return
    changed = set(selection.selected().values_list("host", flat=True))
    others = [host for host in selection.hosts if host not in changed]
    # Looked up among the service's own, so that no answer reveals whether a host exists elsewhere.
    names = dict(selection.service.instances.filter(host__in=others).values_list("host", "host__hostname"))
    if others:
        raise refused_targets(
            [
                FieldError("/host", "wrong_target.not_changed", host=names.get(host, host), deployment=origin.pk)
                for host in others
            ]
        )


def _chosen(origin: Deployment, selection: TargetSelection) -> QuerySet[Operation]:
    """Return the operations that a revert takes back."""
    rows = _succeeded(origin)
    return rows if selection.hosts is None else rows.filter(host__in=among(selection.hosts))


def _succeeded(origin: Deployment) -> QuerySet[Operation]:
    return Operation.objects.filter(deployment=origin, status=OperationStatus.SUCCEEDED)


def auto_revert(origin: Deployment, on_failure: OnFailure) -> Deployment | None:
    """Revert the successes of a deployment that had too many failures: of its last batch, or all; the last one first.

    Return None where nothing is left to revert.
    """
    within = _ALL
    if on_failure is OnFailure.REVERT_BATCH:
        started = Operation.objects.filter(deployment=origin).exclude(status=OperationStatus.NOT_STARTED)
        within = Q(batch=started.order_by("-batch").values_list("batch", flat=True).first())
    try:
        with transaction.atomic():
            deployment = _deployment(origin, origin.environment, None, requested_by=f"deployment {origin.pk}")
            prepared = replace(_back(origin, deployment, _selection(origin, within)), may_have_moved=True)
            return begin(SYSTEM, prepared)
    except Problem as problem:
        if problem.code != "nothing_to_do":
            raise
        return None


def revertible(origin: Deployment) -> TargetSelection:
    """Return the selection of the instances that a revert of the deployment would take."""
    return _selection(origin)


def _selection(origin: Deployment, within: Q = _ALL, hosts: tuple[int, ...] | None = None) -> TargetSelection:
    """Select the instances that a deployment changed, limited to the operations that match `within`, and to hosts."""
    own = _succeeded(origin).filter(within, instance_id=OuterRef("pk"), action__in=list(VERSION_ACTIONS))
    return TargetSelection(
        origin.microservice,
        MAY_CHANGE_VERSION,
        hosts=hosts,
        pointer="/path/id" if hosts is None else "/host",
        force=True,
        skip_locked=hosts is None,
        scope=has_operation(own),
        condition=has_operation(own.filter(dest_version=OuterRef("version"))),
        closed=placement.on_closed_host(origin.microservice),
    )


def _deployment(
    origin: Deployment, environment: Environment | None, strategy: Strategy | None, **more: str
) -> Deployment:
    """Return the deployment that takes it back, not saved."""
    strategy = strategy or default_strategy(origin)
    return Deployment(
        microservice=origin.microservice,
        action=Action.UPGRADE if origin.action == Action.REVERT else Action.REVERT,
        from_version=origin.dest_version,
        dest_version=origin.from_version,
        environment=environment,
        strategy=strategy.to_json(),
        origin=origin,
        **more,
    )


def _back(origin: Deployment, deployment: Deployment, selection: TargetSelection) -> OnInstances:
    return OnInstances(
        deployment=deployment,
        selection=selection,
        source=lambda: enqueue.reversed_from(origin),
        own_moves=lambda: _moves_back(origin),
        last_first=True,
    )


def _moves_back(origin: Deployment) -> Callable[[TargetRow], Move]:
    """Return each target's move back: as enqueue.reversed_from. One query."""
    own = Operation.objects.filter(deployment=origin).order_by("pk")
    back: dict[int | None, Move] = {
        instance: (Action.REVERT if action == Action.UPGRADE else Action.UPGRADE, leaves, returns)
        for instance, action, leaves, returns in own.values_list(
            "instance_id", "action", "dest_version_id", "from_version_id"
        )
    }
    return lambda row: back[row.instance_id]
