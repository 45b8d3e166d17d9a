"""Converts rows to the engine's values: the service's spec, the target, the atom."""

from collections.abc import Mapping
from types import MappingProxyType

from access.secrets import Secret
from deployer.engine.atom import Atom, ServiceSpec, Target
from deployer.engine.plans import plan
from deployer.engine.program import DEFAULT_LIMITS

from .models import MicroService, MicroServiceInstance, MicroServiceVersion, Operation
from .status import Action

_FIELDS = (
    "name",
    "check_timeout",
    "environment",
    "keep_releases",
    "limits",
    "steps",
    "run_as",
    "private_releases",
)
_COMMANDS = {
    "start": "start_command",
    "stop": "stop_command",
    "check": "check_command",
    "pre": "pre_command",
    "pre_undo": "pre_undo_command",
    "post": "post_command",
    "post_undo": "post_undo_command",
}


def output_limit(spec: dict) -> int:
    """Return the bytes of output beyond which a host leaves out the middle."""
    return int((spec.get("limits") or {}).get("output_head", DEFAULT_LIMITS["output_head"]))


NO_PACKAGE = "0" * 64
_NONE: Mapping[str, Secret] = MappingProxyType({})


def spec_of(service: MicroService) -> dict:
    """Return how the service is deployed now, as JSON: a deployment keeps it, whatever is edited later.

    Of secrets it has the names and when each was set, so that a plan differs after a change. Their values are stored
    beside it, sealed (Deployment.secrets).
    """
    return {
        "secrets": {name: moment.isoformat() for name, moment in service.secrets.changed().items()},
        **{name: getattr(service, name) for name in _FIELDS},
        **{short: getattr(service, field) for short, field in _COMMANDS.items()},
    }


def target_of(instance: MicroServiceInstance) -> Target:
    """Return where the instance runs. Its host must be loaded."""
    return Target(
        host=instance.host.hostname,
        ip=instance.host.ip,
        port=instance.port,
        tag=instance.tag,
        weight=instance.weight,
        base_path=instance.host.base_path,
        instance=instance.pk or 0,
    )


def atom_of(spec: dict, operation: Operation, secrets: Mapping[str, Secret] = _NONE) -> Atom:
    """Return the steps of an operation. Its instance and versions must be loaded.

    `secrets`: what commands see besides the environment. Only an atom that is sent to a host has any.
    """
    assert operation.instance is not None, "what has no instance is not planned"
    return atom_at(
        spec,
        target_of(operation.instance),
        Action(operation.action),
        operation.from_version,
        operation.dest_version,
        operation.adopt,
        secrets,
    )


def atom_at(
    spec: dict,
    target: Target,
    action: Action,
    old: MicroServiceVersion | None,
    new: MicroServiceVersion | None,
    adopt: bool = False,
    secrets: Mapping[str, Secret] = _NONE,
) -> Atom:
    """Return the steps that take a target from one version to another, for previews and workers alike."""
    known = {name: value for name, value in spec.items() if name != "secrets"}
    known["environment"] = {**known.get("environment", {}), **secrets}
    return plan(
        ServiceSpec(**known),
        target,
        str(action),
        old.version if old else None,
        new.version if new else None,
        # The release of a version without a package may still be on the host; else the operation fails there.
        sha256=(new.sha256 or NO_PACKAGE) if new else "",
        size=(new.size or 0) if new else 0,
        adopt=adopt,
        old_image=old.image if old else "",
        new_image=new.image if new else "",
    )
