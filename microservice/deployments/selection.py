"""How a request says where: hosts by their ids or names, instances by their ids. Never one for the other.

`host` is `"all"`, or hosts: `"1,2"`, `"web1,web2"`, `[1, "web2"]`. Digits alone are an id, also as a text, so a host
whose name is all digits goes by its id; and one that is called `all` does too. `instances` is ids: `"1,2"`, `[1, 2]`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Q

from access.problems import Problem, invalid
from asset.models import Asset
from asset.validation import HOSTNAME

from ..models import MicroService, MicroServiceVersion

ALL = "all"
MOST = 20_000
_HOSTS = 'must be "all", or hosts by id or name such as "1,2,3", [1, 2, 3] or ["web1", "web2"]'
_INSTANCES = 'must be ids of instances such as "1,2,3" or [1, 2, 3]'
_One = TypeVar("_One")


@dataclass(frozen=True, slots=True)
class Where:
    """What a request named, looked up: hosts or instances, by id; neither where it said "all"."""

    pointer: str
    hosts: tuple[int, ...] | None = None
    instances: tuple[int, ...] | None = None

    @property
    def is_named(self) -> bool:
        return self.hosts is not None or self.instances is not None


def targets_of(service: MicroService, host: object, instances: object, version: MicroServiceVersion) -> Where:
    """Where an upgrade or a revert goes: one of the two says so. One query where something is named.

    Raises Problem 422: `invalid` for what is neither ids nor names, for both and for none of the two; `wrong_target`,
    naming each, for a host that has no instance of the service, for what is none of its instances, and for what does
    not run `version`.
    """
    if host is not None and instances is not None:
        errors = [
            {"pointer": pointer, "reason": "host and instances exclude each other"}
            for pointer in ("/host", "/instances")
        ]
        raise Problem(
            422,
            "invalid",
            "host and instances: give one of them, not both.",
            "host takes hosts, instances takes instances.",
            errors,
        )
    if instances is not None:
        return Where("/instances", instances=instances_of(service, instances, version))
    if host is None:
        raise invalid("/host", 'must be given: "all", or hosts by id or name. Or give instances, by id')
    hosts = parse_hosts(host)
    return Where("/host") if hosts is None else Where("/host", hosts=_hosts_of(service, hosts, version))


def parse_hosts(value: object, pointer: str = "/host") -> list[int | str] | None:
    """Hosts by id (a number) or name (a text), without doubles; None for "all". Raises Problem 422."""
    return None if value == ALL else _parse(value, pointer, _HOSTS, _host)


def parse_instances(value: object, pointer: str = "/instances") -> tuple[int, ...]:
    """Ids of instances, without doubles. Raises Problem 422."""
    return tuple(_parse(value, pointer, _INSTANCES, _id))


def instances_of(service: MicroService, value: object, version: MicroServiceVersion | None = None) -> tuple[int, ...]:
    """Ids of instances of this service that run `version`, if one is given. Raises Problem 422 naming the others."""
    wanted = parse_instances(value)
    known = dict(service.instances.filter(pk__in=wanted).values_list("pk", "version_id"))
    errors: list[dict] = [
        {"pointer": "/instances", "reason": f"instance {number} is not an instance of {service.name}"}
        for number in wanted
        if number not in known
    ]
    if version:
        errors += [
            {
                "pointer": "/instances",
                "instance_id": number,
                "reason": f"instance {number} does not run {version.version}",
            }
            for number in wanted
            if number in known and known[number] != version.pk
        ]
    _refuse(errors, "Reload the list of instances.")
    return wanted


def find_hosts(hosts: Sequence[int | str], among: Q) -> list[Asset]:
    """These hosts, by id. Raises Problem 422 `wrong_target` that names those which are not among `among`."""
    found = list(Asset.objects.filter(among, _any_of(hosts, "pk", "hostname")).order_by("pk"))
    known = {host.pk for host in found} | {host.hostname for host in found}
    missing = [one for one in hosts if one not in known]
    _refuse([{"pointer": "/host", "reason": f"there is no host {one}"} for one in missing], "")
    return found


def _hosts_of(service: MicroService, hosts: Sequence[int | str], version: MicroServiceVersion) -> tuple[int, ...]:
    """Looked up among the service's own instances alone: whether a host exists elsewhere is not told."""
    rows = service.instances.filter(_any_of(hosts, "host", "host__hostname"))
    known: dict[int | str, tuple[int, int, str, int | None]] = {}
    for number, host, name, running in rows.values_list("pk", "host_id", "host__hostname", "version_id"):
        known[host] = known[name] = (number, host, name, running)
    errors: list[dict] = []
    for one in hosts:
        if one not in known:
            errors.append({"pointer": "/host", "reason": f"host {one} has no instance of {service.name}"})
            continue
        number, host_id, name, runs = known[one]
        if runs != version.pk:
            reason = f"host {host_id} ({name}) does not run {version.version}"
            errors.append({"pointer": "/host", "host_id": host_id, "instance_id": number, "reason": reason})
    _refuse(errors, "host takes ids or names of hosts, as GET /hosts/ gives them; ids of instances go into instances.")
    return tuple(dict.fromkeys(known[one][1] for one in hosts))


def _any_of(hosts: Iterable[int | str], by_id: str, by_name: str) -> Q:
    hosts = list(hosts)
    names = [one for one in hosts if isinstance(one, str)]
    found = Q(**{f"{by_id}__in": [one for one in hosts if isinstance(one, int)]})
    return found | Q(**{f"{by_name}__in": names}) if names else found


def _refuse(errors: list[dict], hint: str) -> None:
    if errors:
        detail = errors[0]["reason"] + (f", and {len(errors) - 1} more like it" if len(errors) > 1 else "")
        raise Problem(422, "wrong_target", detail[0].upper() + detail[1:] + ".", hint, errors)


def _parse(value: object, pointer: str, reason: str, one: Callable[[object], _One | None]) -> list[_One]:
    if isinstance(value, bool) or not isinstance(value, int | str | list):
        raise invalid(pointer, reason)
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    read = [one(part) for part in parts]
    found = [part for part in read if part is not None]
    if len(found) < len(read):
        raise invalid(pointer, reason)
    if not found:
        raise invalid(pointer, "names nothing")
    if len(found) > MOST:
        raise invalid(pointer, f"names more than {MOST}; use several requests")
    return list(dict.fromkeys(found))


def _id(part: object) -> int | None:
    text = part.strip() if isinstance(part, str) else "" if isinstance(part, bool) else str(part)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 and int(text) > 0 else None


def _host(part: object) -> int | str | None:
    text = part.strip() if isinstance(part, str) else ""
    if not text or text.isdigit():
        return _id(part)
    return text if text != ALL and HOSTNAME.match(text) else None
