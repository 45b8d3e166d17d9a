"""Every kind of request that can wait, and how it is looked up anew when it begins."""

from collections.abc import Callable
from typing import Any

from access.callers import Caller

from .. import changes, deletes, installs, retries, reverts
from ..holds import values
from ..installs import Installation
from ..prepared import Prepared
from ..version_change import VersionChange

_KINDS: dict[str, tuple[type, Callable[[Caller, Any], Prepared]]] = {
    VersionChange.kind: (VersionChange, changes.prepare),
    Installation.kind: (Installation, installs.prepare),
    reverts.DeploymentRevert.kind: (reverts.DeploymentRevert, reverts.prepare),
    retries.DeploymentRetry.kind: (retries.DeploymentRetry, retries.prepare),
    retries.InstancesRetry.kind: (retries.InstancesRetry, retries.prepare_instances),
    deletes.Deletion.kind: (deletes.Deletion, deletes.prepare),
}
_TYPES = {kind: known for kind, (known, _prepare) in _KINDS.items()}


def prepare(caller: Caller, stored: dict[str, Any]) -> Prepared:
    """Look up a request that was kept as JSON. Raise its Problems, and values.Gone where a row of it was deleted."""
    return _KINDS[stored["kind"]][1](caller, values.from_json(stored, _TYPES))
