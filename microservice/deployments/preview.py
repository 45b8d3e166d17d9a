"""What a request would do, before it is asked for: locks nothing, writes nothing, and remembers what it showed."""

from django.db.models import Q

from access.callers import Caller
from access.problems import conflict, invalid

from .. import atoms
from ..models import MicroService, MicroServiceInstance, MicroServiceVersion
from . import plan_token
from .create import check_right
from .rollout import Strategy
from .targets import Wish, left_out, named, refuse_where_named
from .version_change import wish_of

LOADED = ("host", "version")


def preview(
    caller: Caller,
    service: MicroService,
    version: MicroServiceVersion,
    action: str,
    host: object,
    dest_version: int | None = None,
    *,
    instances: object = None,
    on_locked: str | None = None,
    strategy: object = None,
    force: bool = False,
    allow_bad: bool = False,
) -> dict:
    """`{"plan_token", "action", "from_version", "dest_version", "batches", "targets", "skipped"}`; each target with its
    steps, commands and what cannot be undone. Raises the same Problems as the request itself would."""
    check_right(caller, service)
    wish, dest, course = wish_of(
        caller, service, version, action, host, instances, dest_version, on_locked, strategy, force, allow_bad
    )
    rows = list(wish.free().select_related(*LOADED).order_by("pk"))
    skipped = list(left_out(wish, Q(pk__in=wish.free().values("pk"))))
    _refuse_like_the_request(wish, rows, skipped)
    return plan_of(service, rows, action, version, dest, course) | {"skipped": skipped}


def plan_of(
    service: MicroService,
    rows: list[MicroServiceInstance],
    action: str,
    old: MicroServiceVersion | None,
    new: MicroServiceVersion,
    course: Strategy,
    adopt: bool = False,
) -> dict:
    """What would be done to these targets, with the token for it. Raises Problem 422 where none is possible."""
    spec = atoms.spec_of(service)
    try:
        targets = [_target(spec, row, action, old, new, adopt) for row in rows]
    except ValueError as error:
        raise invalid("/service", str(error)) from error
    return {
        "plan_token": plan_token.token(rows, spec, action, new.pk, course, adopt),
        "action": str(action),
        "from_version": {"id": old.pk, "version": old.version} if old else None,
        "dest_version": {"id": new.pk, "version": new.version},
        "strategy": course.to_json(),
        "batches": course.batches(len(rows)),
        "targets": targets,
        "skipped": [],
    }


def _refuse_like_the_request(wish: Wish, rows: list, skipped: list[dict]) -> None:
    refuse_where_named(wish, skipped)
    if not rows:
        detail = (
            f"There is nothing to do: {skipped[0]['host']} {skipped[0]['reason']}."
            if skipped
            else "There is nothing to do."
        )
        raise conflict("nothing_to_do", detail, errors=named(skipped, wish.pointer))


def _target(
    spec: dict,
    row: MicroServiceInstance,
    action: str,
    old: MicroServiceVersion | None,
    new: MicroServiceVersion,
    adopt: bool,
) -> dict:
    steps = atoms.atom_of(spec, row, action, old, new, adopt).describe()
    return {
        "instance_id": row.pk,
        "host_id": row.host_id,
        "host": str(row.host),
        "from_version": old.version if old else None,
        "dest_version": new.version,
        "steps": steps,
        "cannot_be_undone": [step["name"] for step in steps if not step["undoable"]],
    }
