"""A request that was looked up: its deployment, not saved, what it would do, and how it takes its targets.

Requests, previews and deployments that waited all go through one of these (start.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from django.db.models import Q

from access.callers import Caller

from ..models import Deployment
from ..status import Action
from . import deferred_installs, enqueue, environments, target_rows
from .create import lock_or_refuse
from .new_instances import (
    FIRST_INSTALL_FAILED,
    already_installed,
    check_fields,
    create_instances,
    lock_failed_installs,
    unsaved,
)
from .plan import Move, Plan, plan_for
from .skipped import refuse_unavailable, skipped_targets
from .target_rows import HostRow, TargetRow
from .targets import TargetSelection


@dataclass(frozen=True, slots=True)
class Taken:
    """What a deployment holds, and where its operations come from."""

    targets: int
    source: enqueue.OperationSource
    later: Sequence[HostRow] = ()  # hosts of an install whose operations wait for a delete
    last_first: bool = False


class Prepared(Protocol):
    """A request that was looked up."""

    @property
    def deployment(self) -> Deployment: ...

    @property
    def adopt(self) -> bool: ...

    def moves(self) -> Callable[[TargetRow], Move]:
        """Return what it would do to each target. One query at most."""

    def is_held(self) -> bool:
        """Return whether another deployment has locked one of the targets: it is not the time to take the others."""

    def plan(self) -> Plan:
        """Return what it would do now. Raise the same Problems as `take`. A fixed number of queries."""

    def take(self) -> Taken | None:
        """Lock the targets for the deployment, which is saved by now; None where all are there already.

        Call inside the request's transaction. Raise Problem 409 where a named target is unavailable or none is left.
        """

    def conclude(self, caller: Caller) -> None:
        """Do what else belongs to the request, when its targets are locked."""


def _nothing(_caller: Caller) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class OnInstances:
    """A request on instances that exist."""

    deployment: Deployment
    selection: TargetSelection
    source: Callable[[], enqueue.OperationSource]  # called when the deployment is saved
    own_moves: Callable[[], Callable[[TargetRow], Move]] | None = None  # None: all go the deployment's own way
    refuse: Callable[[], None] = lambda: None  # asked once more before anything is locked
    conclude: Callable[[Caller], None] = _nothing
    last_first: bool = False
    may_have_moved: bool = False  # hosts that came into another environment since are taken too
    adopt: bool = False

    def moves(self) -> Callable[[TargetRow], Move]:
        return self.own_moves() if self.own_moves else own_way(self.deployment)

    def is_held(self) -> bool:
        return self.selection.selected().filter(locked=True).exists()

    def plan(self) -> Plan:
        rows = target_rows.load(self.selection.lockable())
        skipped = list(skipped_targets(self.selection, Q(pk__in=self.selection.lockable().values("pk"))))
        refuse_unavailable(self.selection, len(rows), skipped)
        return plan_for(self.deployment, rows, self.moves(), skipped=skipped)

    def take(self) -> Taken | None:
        self.refuse()
        targets = lock_or_refuse(self.selection, self.deployment)
        if not targets:
            return None
        if not self.may_have_moved:
            environments.refuse_moved(self.deployment)
        return Taken(targets, self.source(), last_first=self.last_first)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnHosts:
    """An install on hosts, which have no instance yet."""

    deployment: Deployment
    hosts: Sequence[HostRow]
    adopt: bool = False

    def moves(self) -> Callable[[TargetRow], Move]:
        return own_way(self.deployment)

    def is_held(self) -> bool:
        return False

    def plan(self) -> Plan:
        service, ids = self.deployment.microservice, [host.host_id for host in self.hosts]
        installed = service.instances.exclude(FIRST_INSTALL_FAILED).exclude(status__in=deferred_installs.BEING_DELETED)
        if taken := set(installed.values_list("host_id", flat=True)).intersection(ids):
            raise already_installed(service, taken)
        fields = self.deployment.instance_fields
        check_fields(unsaved(service, ids[:1], fields))
        return plan_for(self.deployment, target_rows.of_hosts(self.hosts, fields), self.moves(), adopt=self.adopt)

    def take(self) -> Taken | None:
        if not self.hosts:
            return None
        now, later = deferred_installs.partition_hosts(self.deployment.microservice, self.hosts)
        ids = [host.host_id for host in now]
        failed_before = lock_failed_installs(self.deployment, ids)
        create_instances(self.deployment, [host for host in ids if host not in failed_before])
        deferred_installs.defer_installs(self.deployment, later, self.adopt)
        return Taken(len(now), enqueue.from_request(self.deployment, self.adopt), later)

    def conclude(self, caller: Caller) -> None:
        pass


def own_way(deployment: Deployment) -> Callable[[TargetRow], Move]:
    """Return the same move for every target: the deployment's own."""
    same = (Action(deployment.action), deployment.from_version_id, deployment.dest_version_id)
    return lambda _row: same
