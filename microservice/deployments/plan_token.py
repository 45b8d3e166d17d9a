"""A token that says what a plan showed: sent with the request, it makes the server refuse anything else.

It holds a short hash of what is the same for all targets, and one for each target, by its host: a host has a service
only once, and a target of an install has no other name yet.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator

from django.core import signing

from access.problems import FieldError, invalid, refused
from asset.models import Asset

from ..models import Deployment, MicroServiceInstance
from .refusals import refused_targets

_SALT = "deployer.plan"
_INSTANCE_FIELDS = ("version_id", "port", "tag", "weight")
_HOST_FIELDS = ("ip", "port", "username", "jump_host_id", "base_path", "sudo")
NEEDED = ("host", "version")  # what must be loaded of each instance
MAX_AGE = 24 * 3600  # seconds


def make(deployment: Deployment, rows: Iterable[MicroServiceInstance], adopt: bool) -> str:
    """Return the token of a deployment and its targets, with their hosts loaded; none of them need be saved."""
    shown = {"frame": _frame(deployment, adopt), "targets": _hashes(rows)}
    return signing.dumps(shown, salt=_SALT, compress=True)


def check(plan_token: str, deployment: Deployment, rows: Iterable[MicroServiceInstance], adopt: bool = False) -> None:
    """Compare the locked targets with what was shown. Call inside the request's transaction, when no target can change.

    Raise Problem 422 for an invalid token, and 409 `plan_changed` with what differs.
    """
    try:
        shown = signing.loads(plan_token, salt=_SALT, max_age=MAX_AGE)
    except signing.SignatureExpired:
        raise refused("plan_changed.expired") from None
    except signing.BadSignature:
        raise invalid("/plan_token", "not_a_plan_token") from None
    now, before = _hashes(rows), shown["targets"]
    changed = sorted(int(host) for host in now.keys() | before.keys() if now.get(host) != before.get(host))
    frame = _frame(deployment, adopt)
    if frame == shown["frame"] and not changed:
        return
    errors = list(_differences(deployment, changed, now, before))
    if frame != shown["frame"]:
        errors.insert(0, FieldError("/plan_token", "plan_changed.definition"))
    raise refused_targets(errors)


def _short_hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _frame(deployment: Deployment, adopt: bool) -> str:
    content = [deployment.spec, str(deployment.action), deployment.dest_version_id, deployment.strategy, adopt]
    return _short_hash(content)


def _hashes(rows: Iterable[MicroServiceInstance]) -> dict[str, str]:
    """Hash, for each target (its host's id), all that its plan depends on: version, variables of commands, host."""
    return {
        str(row.host_id): _short_hash(
            [getattr(row, name) for name in _INSTANCE_FIELDS] + [getattr(row.host, name) for name in _HOST_FIELDS]
        )
        for row in rows
    }


def _differences(
    deployment: Deployment, changed: list[int], now: dict[str, str], shown: dict[str, str]
) -> Iterator[FieldError]:
    hosts = Asset.every.in_bulk(changed)
    instances = MicroServiceInstance.objects.filter(microservice=deployment.microservice_id, host__in=changed)
    by_host = {row.host_id: row for row in instances.select_related("version")}
    for number in changed:
        row = by_host.get(number)
        params = {"host": str(hosts.get(number, number))}
        if str(number) not in now:
            code = "plan_changed.target_gone"
        elif str(number) not in shown:
            code = "plan_changed.target_new"
        elif row and row.version:
            code, params["version"] = "plan_changed.target_version", row.version.version
        else:
            code = "plan_changed.target"
        yield FieldError("/plan_token", code, {"host_id": number, "instance_id": row.pk if row else None}, **params)
