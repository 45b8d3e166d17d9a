"""What a plan showed, as a token: given with the request, it makes the server refuse where that is not what would run.

It holds a short hash of all that is the same for every target, and one for each target, by its host: a host has a
service once, and what an install goes to has no other name yet.
"""

import hashlib
import json
from collections.abc import Iterable

from django.core import signing

from access.problems import conflict, invalid
from asset.models import Asset

from ..models import Deployment, MicroServiceInstance
from .rollout import Strategy

_SALT = "deployer.plan"
_OWN = ("version_id", "port", "tag", "weight")
_PLACE = ("ip", "port", "username", "jump_host_id", "base_path", "sudo")
_KEPT = 24 * 3600  # seconds that a plan can be asked for


def token(
    rows: Iterable[MicroServiceInstance], spec: dict, action: str, dest: int, course: Strategy, adopt: bool = False
) -> str:
    """Of these targets, with their hosts loaded; those of an install need not be saved."""
    shown = {"frame": _frame(spec, action, dest, course.to_json(), adopt), "targets": _marks(rows)}
    return signing.dumps(shown, salt=_SALT, compress=True)


def check_plan(plan: object, deployment: Deployment, rows: Iterable[MicroServiceInstance], adopt: bool = False) -> None:
    """Inside the request's transaction, when its targets are locked and cannot move any more: are they what was shown?

    Raises Problem 422 for a token that is none, 409 `plan_changed` with what moved.
    """
    try:
        shown = signing.loads(plan, salt=_SALT, max_age=_KEPT) if isinstance(plan, str) else None
    except signing.SignatureExpired:
        raise conflict("plan_changed", "The plan is more than a day old.", "Ask for a new plan.") from None
    except signing.BadSignature:
        shown = None
    if shown is None:
        raise invalid("/plan_token", "is not a plan that this system made")
    now = _marks(rows)
    before = shown["targets"]
    moved = sorted(int(host) for host in now.keys() | before.keys() if now.get(host) != before.get(host))
    frame = _frame(deployment.spec, deployment.action, deployment.dest_version_id, deployment.strategy, adopt)
    if frame == shown["frame"] and not moved:
        return
    errors = [{"pointer": "/plan_token", **one} for one in _moves(deployment, moved, now, before)]
    if frame != shown["frame"]:
        errors.insert(
            0, {"pointer": "/plan_token", "reason": "the service's definition or the request is not the one shown"}
        )
    raise conflict(
        "plan_changed", f"What was shown is not what would run: {errors[0]['reason']}.", "Look at the new plan.", errors
    )


def _short(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _frame(spec: dict, action: str, dest: int | None, strategy: dict, adopt: bool) -> str:
    return _short([spec, str(action), dest, strategy, adopt])


def _marks(rows: Iterable[MicroServiceInstance]) -> dict[str, str]:
    """For each target a hash of all that its plan depends on: what it runs, what its commands see, and where it is."""
    return {str(row.host_id): _short([getattr(row, name) for name in _OWN] + _place(row.host)) for row in rows}


def _place(host: Asset) -> list:
    return [getattr(host, name) for name in _PLACE]


def _moves(deployment: Deployment, moved: list[int], now: dict, shown: dict) -> Iterable[dict]:
    hosts = Asset.every.in_bulk(moved)
    found = MicroServiceInstance.objects.filter(microservice=deployment.microservice_id, host__in=moved)
    rows = {row.host_id: row for row in found.select_related("version")}
    for number in moved:
        row = rows.get(number)
        name = str(hosts.get(number, f"host {number}"))
        if str(number) not in now:
            what = f"{name} is not among the targets any more"
        elif str(number) not in shown:
            what = f"{name} is a target now and was none"
        elif row and row.version:
            what = f"{name} was changed (it runs {row.version.version})"
        else:
            what = f"{name} was changed: where it is, or what its commands would see"
        yield {"reason": what, "host_id": number, "instance_id": row.pk if row else None}
