"""What a request would do, before it is asked for: locks nothing, writes nothing, and remembers what it showed.

The plan token holds a short hash for each target. Given with the request, it makes the server refuse when the targets
are not what was shown, naming what moved.
"""

import hashlib
import json
from collections.abc import Iterable

from django.core import signing
from django.db.models import Q

from access.callers import Caller
from access.problems import conflict, forbidden, invalid

from . import atoms
from .models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion
from .requests import named
from .rollout import Strategy
from .targets import Wish, left_out, refuse_where_named

_SALT = "deployer.plan"
_KEPT = 24 * 3600  # seconds that a plan can be asked for
_LOADED = ("host", "version")


def _short(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _marks(rows: Iterable[MicroServiceInstance]) -> dict[str, str]:
    """For each target a hash of all that its plan depends on."""
    return {
        str(row.pk): _short(
            [row.version_id, row.port, row.tag, row.weight, row.host_id, row.host.base_path, row.host.ip, row.host.sudo]
        )
        for row in rows
    }


def _frame(spec: dict, action: str, dest: int | None, strategy: dict) -> str:
    return _short([spec, str(action), dest, strategy])


def preview(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    action: str,
    host: str | list[int],
    dest_version: int | None = None,
    *,
    on_locked: str | None = None,
    strategy: object = None,
    force: bool = False,
    even_bad: bool = False,
) -> dict:
    """`{"plan", "action", "from_version", "dest_version", "batches", "targets", "skipped"}`; each target with its
    steps, commands and what cannot be undone. Raises the same Problems as the request itself would."""
    from .deployments import wish_of  # it checks what the request checks, and calls check_plan below

    if not caller.may("deploy", service.pk):
        raise forbidden(f"{caller.name} may not deploy {service.name}.", "Ask for the scope “deploy”.")
    wish, dest, course = wish_of(
        caller, service, version, action, host, dest_version, on_locked, strategy, force, even_bad
    )
    rows = list(wish.free().select_related(*_LOADED).order_by("pk"))
    skipped = list(left_out(wish, Q(pk__in=wish.free().values("pk"))))
    _refuse_like_the_request(wish, rows, skipped)
    spec = atoms.spec_of(service)
    try:
        targets = [_target(spec, row, action, version, dest) for row in rows]
    except ValueError as error:
        raise invalid("/service", str(error)) from error
    return {
        "plan": _token(rows, spec, action, dest.pk, course),
        "action": str(action),
        "from_version": {"id": version.pk, "version": version.version},
        "dest_version": {"id": dest.pk, "version": dest.version},
        "strategy": course.to_json(),
        "batches": course.batches(len(rows)),
        "targets": targets,
        "skipped": skipped,
    }


def _refuse_like_the_request(wish: Wish, rows: list, skipped: list[dict]) -> None:
    refuse_where_named(wish, skipped)
    if not rows:
        detail = (
            f"There is nothing to do: {skipped[0]['host']} {skipped[0]['reason']}."
            if skipped
            else "There is nothing to do."
        )
        raise conflict("nothing_to_do", detail, errors=named(skipped))


def _token(rows: list[MicroServiceInstance], spec: dict, action: str, dest: int, course: Strategy) -> str:
    shown = {"frame": _frame(spec, action, dest, course.to_json()), "targets": _marks(rows)}
    return signing.dumps(shown, salt=_SALT, compress=True)


def _target(
    spec: dict, row: MicroServiceInstance, action: str, version: MicroServiceVersion, dest: MicroServiceVersion
) -> dict:
    steps = atoms.atom_of(spec, row, action, version, dest).describe()
    return {
        "instance_id": row.pk,
        "host_id": row.host_id,
        "host": str(row.host),
        "from_version": version.version,
        "dest_version": dest.version,
        "steps": steps,
        "cannot_be_undone": [step["name"] for step in steps if not step["undoable"]],
    }


def check_plan(token: object, deployment: Deployment) -> None:
    """Inside the request's transaction, when its targets are locked and cannot move any more: are they what was shown?

    Raises Problem 422 for a token that is none, 409 `plan_changed` with what moved.
    """
    try:
        shown = signing.loads(token, salt=_SALT, max_age=_KEPT) if isinstance(token, str) else None
    except signing.SignatureExpired:
        raise conflict("plan_changed", "The plan is more than a day old.", "Ask for a new plan.") from None
    except signing.BadSignature:
        shown = None
    if shown is None:
        raise invalid("/plan", "is not a plan that this system made")
    rows = MicroServiceInstance.objects.filter(lock_deployment=deployment, locked=True).select_related(*_LOADED)
    now = _marks(rows)
    moved = sorted(
        {int(number) for number in now.keys() ^ shown["targets"].keys()}
        | {int(number) for number in now if shown["targets"].get(number, now[number]) != now[number]}
    )
    frame = _frame(deployment.spec, deployment.action, deployment.dest_version_id, deployment.strategy)
    if frame == shown["frame"] and not moved:
        return
    errors = [{"pointer": "/plan", "reason": reason, **more} for reason, more in _moves(moved, now, shown["targets"])]
    if frame != shown["frame"]:
        errors.insert(0, {"pointer": "/plan", "reason": "the service's definition or the request is not the one shown"})
    raise conflict(
        "plan_changed", f"What was shown is not what would run: {errors[0]['reason']}.", "Look at the new plan.", errors
    )


def _moves(moved: list[int], now: dict, shown: dict) -> Iterable[tuple[str, dict]]:
    rows = MicroServiceInstance.objects.filter(pk__in=moved).select_related(*_LOADED).in_bulk()
    for number in moved:
        row = rows.get(number)
        name = str(row.host) if row else f"instance {number}"
        if str(number) not in now:
            what = f"{name} is not among the targets any more"
        elif str(number) not in shown:
            what = f"{name} is a target now and was none"
        else:
            what = f"{name} was changed (it runs {row.version.version if row and row.version else 'nothing'})"
        yield what, {"instance_id": number}
