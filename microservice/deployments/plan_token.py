"""A token that says what a plan showed: sent with the request, it makes the server refuse anything else.

It holds hashes of what is the same for all targets and of all targets together, which decide; and a hint for each
target, which says which of them have changed. Targets are named by their hosts: a host has a service only once, and a
target of an install has no other name yet. A page of ten thousand hosts carries the token, so that hints are short
where there are many.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Set
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import Any

from django.core import signing

from access.problems import FieldError, invalid, refused
from asset.models import Asset

from ..models import Deployment, MicroServiceInstance
from .refusals import refused_targets

_SALT = "deployer.plan"
# All that a target's plan depends on: its version, the variables of its commands, its host.
_SHOWN = attrgetter(
    "version_id",
    "port",
    "tag",
    "weight",
    "host.ip",
    "host.port",
    "host.username",
    "host.jump_host_id",
    "host.base_path",
    "host.sudo",
)
NEEDED = ("host", "version")  # what must be loaded of each instance
MAX_AGE = 24 * 3600  # seconds
HINT, SHORT_HINT, MANY = 4, 1, 1000  # bytes of a hint, and with more targets than MANY


def make(deployment: Deployment, rows: Iterable[MicroServiceInstance], adopt: bool) -> str:
    """Return the token of a deployment and its targets, with their hosts loaded; none of them need be saved."""
    hashes = _hashes(rows)
    hosts = sorted(hashes)
    width = SHORT_HINT if len(hosts) > MANY else HINT
    shown = {
        "frame": _frame(deployment, adopt),
        "all": _all(hashes),
        "hosts": [after - before for before, after in pairwise([0, *hosts])],
        "hints": b"".join(hashes[host][:width] for host in hosts).hex(),
    }
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
    if "all" not in shown:  # made before the server was upgraded
        raise refused("plan_changed.expired")
    now, frame = _hashes(rows), _frame(deployment, adopt)
    same_frame, same_targets = frame == shown["frame"], _all(now) == shown["all"]
    if same_frame and same_targets:
        return
    errors = [] if same_frame else [FieldError("/plan_token", "plan_changed.definition")]
    if not same_targets:
        before = _hints(shown)
        changed = sorted(host for host in now.keys() | before.keys() if not _resembles(now.get(host), before.get(host)))
        errors += _differences(deployment, changed, now.keys(), before.keys())
    raise refused_targets(errors or [FieldError("/plan_token", "plan_changed.targets")])


def _frame(deployment: Deployment, adopt: bool) -> str:
    content = [deployment.spec, str(deployment.action), deployment.dest_version_id, deployment.strategy, adopt]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _hashes(rows: Iterable[MicroServiceInstance]) -> dict[int, bytes]:
    """Hash each target, by its host's id."""
    return {row.host_id: hashlib.sha256(repr(_SHOWN(row)).encode()).digest() for row in rows}


def _all(hashes: dict[int, bytes]) -> str:
    """Hash all targets, in whatever order they come."""
    return hashlib.sha256(b"".join(b"%d:%b" % (host, hashes[host]) for host in sorted(hashes))).hexdigest()[:32]


def _hints(shown: dict[str, Any]) -> dict[int, bytes]:
    """Return the hints of a token, by the hosts' ids."""
    hosts, hints = list(accumulate(shown["hosts"])), bytes.fromhex(shown["hints"])
    width = len(hints) // max(1, len(hosts))
    return {host: hints[at * width : (at + 1) * width] for at, host in enumerate(hosts)}


def _resembles(now: bytes | None, hint: bytes | None) -> bool:
    return now is not None and hint is not None and now.startswith(hint)


def _differences(deployment: Deployment, changed: list[int], now: Set[int], shown: Set[int]) -> Iterator[FieldError]:
    hosts = Asset.every.in_bulk(changed)
    instances = MicroServiceInstance.objects.filter(microservice=deployment.microservice_id, host__in=changed)
    by_host = {row.host_id: row for row in instances.select_related("version")}
    for number in changed:
        row = by_host.get(number)
        params = {"host": str(hosts.get(number, number))}
        if number not in now:
            code = "plan_changed.target_gone"
        elif number not in shown:
            code = "plan_changed.target_new"
        elif row and row.version:
            code, params["version"] = "plan_changed.target_version", row.version.version
        else:
            code = "plan_changed.target"
        yield FieldError("/plan_token", code, {"host_id": number, "instance_id": row.pk if row else None}, **params)
