"""A token that says what a plan showed: sent with the request, it makes the server refuse anything else.

It holds hashes of what is the same for all targets and of all targets together, which decide; and a hint of each
target, a checksum, which says which of them have changed. Targets are named by their hosts: a host has a service only
once, and a target of an install has no other name yet. A page of ten thousand hosts carries the token, so that hints
are short where there are many.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import accumulate, pairwise
from typing import Any

from django.core import signing

from access.problems import FieldError, invalid, refused
from asset.models import Asset

from ..models import Deployment, MicroServiceInstance
from .refusals import refused_targets
from .target_rows import Move, TargetRow

_SALT = "deployer.plan"
MAX_AGE = 24 * 3600  # seconds
HINT, SHORT_HINT, MANY = 4, 1, 1000  # bytes of a hint, and with more targets than MANY


def digest(deployment: Deployment, targets: Iterable[tuple[TargetRow, Move]], adopt: bool) -> dict[str, Any]:
    """Return what identifies a plan, as JSON values."""
    texts = _texts(targets)
    hosts = sorted(texts)
    width = SHORT_HINT if len(hosts) > MANY else HINT
    return {
        "frame": _frame(deployment, adopt),
        "all": _all(texts),
        "hosts": [after - before for before, after in pairwise([0, *hosts])],
        "hints": b"".join(_hint(texts[host])[:width] for host in hosts).hex(),
    }


def make(shown: Mapping[str, Any]) -> str:
    """Return the token of a plan's digest."""
    return signing.dumps(shown, salt=_SALT, compress=True)


def read(plan_token: str, *, of_any_age: bool = False) -> dict[str, Any]:
    """Return the digest that a token holds. Raise Problem 422 for an invalid one, and 409 for one that is too old.

    `of_any_age`: for a token that was read in time, when its request was made.
    """
    try:
        shown = signing.loads(plan_token, salt=_SALT, max_age=None if of_any_age else MAX_AGE)
    except signing.SignatureExpired:
        raise refused("plan_changed.expired") from None
    except signing.BadSignature:
        raise invalid("/plan_token", "not_a_plan_token") from None
    if "all" not in shown:  # made before the server was upgraded
        raise refused("plan_changed.expired")
    return dict(shown)


def is_same(shown: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether two digests are of the same plan."""
    return shown["frame"] == now["frame"] and shown["all"] == now["all"]


def check(
    shown: Mapping[str, Any], deployment: Deployment, targets: Iterable[tuple[TargetRow, Move]], adopt: bool = False
) -> None:
    """Compare the locked targets with what was shown. Call inside the request's transaction, when no target can change.

    Raise Problem 409 `plan_changed` with what differs.
    """
    if errors := differences(shown, deployment, targets, adopt):
        raise refused_targets(errors)


def differences(
    shown: Mapping[str, Any], deployment: Deployment, targets: Iterable[tuple[TargetRow, Move]], adopt: bool = False
) -> list[FieldError]:
    """Return what differs from what was shown; [] where it is the same. Two queries at most."""
    now, frame = _texts(targets), _frame(deployment, adopt)
    same_frame, same_targets = frame == shown["frame"], _all(now) == shown["all"]
    if same_frame and same_targets:
        return []
    errors = [] if same_frame else [FieldError("/plan_token", "plan_changed.definition")]
    if not same_targets:
        before = _hints(shown)
        changed = sorted(host for host in now.keys() | before.keys() if not _resembles(now.get(host), before.get(host)))
        errors += _differences(deployment, changed, now.keys(), before.keys())
    return errors or [FieldError("/plan_token", "plan_changed.targets")]


def definition(deployment: Deployment) -> str:
    """Return how the service of a deployment is deployed, as a text: equal texts, equal definitions."""
    return json.dumps(deployment.spec, sort_keys=True, default=str)


def _frame(deployment: Deployment, adopt: bool) -> str:
    content = [deployment.spec, str(deployment.action), deployment.dest_version_id, deployment.strategy, adopt]
    content.append(deployment.environment_id)
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _texts(targets: Iterable[tuple[TargetRow, Move]]) -> dict[int, bytes]:
    """Write down what is shown of each target, by its host's id."""
    return {row.host_id: repr((*row.shown, str(move[0]), *move[1:])).encode() for row, move in targets}


def _all(texts: dict[int, bytes]) -> str:
    """Hash all targets, in whatever order they come. A text has no line ends, and begins with the host's id."""
    return hashlib.sha256(b"\n".join(texts[host] for host in sorted(texts))).hexdigest()[:32]


def _hint(text: bytes) -> bytes:
    """Return a checksum: what was shown is decided by the hash of all."""
    return zlib.crc32(text).to_bytes(HINT)


def _hints(shown: Mapping[str, Any]) -> dict[int, bytes]:
    """Return the hints of a token, by the hosts' ids."""
    hosts, hints = list(accumulate(shown["hosts"])), bytes.fromhex(shown["hints"])
    width = len(hints) // max(1, len(hosts))
    return {host: hints[at * width : (at + 1) * width] for at, host in enumerate(hosts)}


def _resembles(now: bytes | None, hint: bytes | None) -> bool:
    return now is not None and hint is not None and _hint(now).startswith(hint)


def _differences(deployment: Deployment, changed: list[int], now: Set[int], shown: Set[int]) -> Iterator[FieldError]:
    hosts = {
        pk: f"{name}:{ip}" for pk, name, ip in Asset.every.filter(pk__in=changed).values_list("pk", "hostname", "ip")
    }
    instances = MicroServiceInstance.objects.filter(microservice=deployment.microservice_id, host__in=changed)
    runs = {host: row for host, *row in instances.values_list("host_id", "pk", "version__version")}
    for host in changed:
        instance, version = runs.get(host, (None, None))
        params: dict[str, object] = {"host": hosts.get(host, host)}
        if host not in now:
            code = "plan_changed.target_gone"
        elif host not in shown:
            code = "plan_changed.target_new"
        elif version:
            code, params["version"] = "plan_changed.target_version", version
        else:
            code = "plan_changed.target"
        yield FieldError("/plan_token", code, {"host_id": host, "instance_id": instance}, **params)
