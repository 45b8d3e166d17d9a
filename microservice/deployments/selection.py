"""How a request names its targets: hosts by id or name, instances by id. An id of one is never taken for the other.

`host` is `"all"`, or hosts: `"1,2"`, `"web1,web2"`, `[1, "web2"]`. Digits alone are an id, also as text, so a host
whose name is all digits can only be named by its id; so can one that is called `all`. `instances` is ids: `"1,2"`,
`[1, 2]`. Both are parsed here, once, where the request comes in (the API's schema, the console's form).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from django.db.models import Q, QuerySet

from access.problems import FieldError, invalid, invalid_fields
from asset import labels
from asset.models import Asset
from asset.validation import HOSTNAME
from runtime.ids import parse_id
from runtime.sql import among

from ..models import MicroService, MicroServiceVersion
from . import target_rows
from .refusals import refused_targets
from .target_rows import HostRow

ALL: Literal["all"] = "all"
MAX_NAMED = 20_000
HostNames = tuple[int | str, ...]  # ids (numbers) and names (texts) of hosts, without duplicates
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SelectedTargets:
    """The targets that a request named, looked up: hosts or instances, by id; neither where it said "all"."""

    pointer: str
    hosts: tuple[int, ...] | None = None
    instances: tuple[int, ...] | None = None
    by_label: bool = False  # the hosts are those that have labels: none of them was named

    @property
    def is_named(self) -> bool:
        return not self.by_label and (self.hosts is not None or self.instances is not None)


def parse_hosts(value: object, pointer: str = "/host") -> HostNames | Literal["all"]:
    """Return hosts by id (a number) or name (a text), or ALL. Raise Problem 422 for anything else."""
    return ALL if value == ALL else _parse(value, pointer, "host_list", _host)


def parse_instances(value: object, pointer: str = "/instances") -> tuple[int, ...]:
    """Return ids of instances. Raise Problem 422 for anything else."""
    return _parse(value, pointer, "instance_list", _id)


def find_targets(
    host: HostNames | Literal["all"] | None,
    instances: tuple[int, ...] | None,
    service: MicroService,
    version: MicroServiceVersion | None,
    selector: labels.Selector | None = None,
) -> SelectedTargets:
    """Look up the targets of a change of what runs `version` (None: any); exactly one of three says which. One query.

    Raise Problem 422: `invalid` for both or neither; `wrong_target`, naming each, for a host without an instance of
    the service, for an id that is not one of its instances, and for an instance that does not run `version`.
    """
    given = [
        name for name, value in (("host", host), ("instances", instances), ("labels", selector)) if value is not None
    ]
    if len(given) > 1:
        raise invalid_fields([FieldError(f"/{name}", "exclusive_fields") for name in given], "invalid")
    if selector is not None:
        of_service = Asset.objects.filter(instances__microservice=service)
        hosts = find_labelled(selector, of_service, "wrong_target.no_such_label")
        return SelectedTargets("/labels", hosts=hosts, by_label=True)
    if instances is not None:
        return SelectedTargets("/instances", instances=find_instances(service, instances, version))
    if host is None:
        raise invalid("/host", "host_required")
    return SelectedTargets("/host", hosts=None if host == ALL else find_service_hosts(service, host, version))


def find_labelled(selector: labels.Selector, rows: QuerySet[Asset], none_found: str) -> tuple[int, ...]:
    """Return those of these hosts (ids) with the labels. Raise Problem 422 where there is none: none is never all."""
    found = labels.find(selector, rows)
    if not found:
        raise invalid("/labels", none_found, "wrong_target", labels=labels.as_text(selector))
    return tuple(sorted(found))


def find_instances(
    service: MicroService, ids: tuple[int, ...], version: MicroServiceVersion | None = None
) -> tuple[int, ...]:
    """Return the ids if all are instances of the service that run `version` (None: any). Raise Problem 422 if not."""
    known = dict(service.instances.filter(pk__in=among(ids)).values_list("pk", "version_id"))
    errors = [
        FieldError("/instances", "wrong_target.not_an_instance", instance=number, service=service.name)
        for number in ids
        if number not in known
    ]
    if version:
        errors += [
            FieldError(
                "/instances",
                "wrong_target.instance_runs_other_version",
                {"instance_id": number},
                instance=number,
                version=version.version,
            )
            for number in ids
            if number in known and known[number] != version.pk
        ]
    if errors:
        raise refused_targets(errors)
    return ids


def find_hosts(hosts: Sequence[int | str], scope: Q) -> list[HostRow]:
    """Return these hosts, by id. Raise Problem 422 `wrong_target` that names those which are not within `scope`."""
    rows = target_rows.load_hosts(Asset.objects.filter(scope, _any_of(hosts, "pk", "hostname")))
    known = {host.host_id for host in rows} | {host.hostname for host in rows}
    errors = [FieldError("/host", "wrong_target.unknown_host", host=one) for one in hosts if one not in known]
    if errors:
        raise refused_targets(errors)
    return rows


def find_service_hosts(
    service: MicroService, hosts: Sequence[int | str], version: MicroServiceVersion | None = None
) -> tuple[int, ...]:
    """Return the ids of hosts. They are looked up among the service's own instances, those that run `version` if it is
    given, so that no answer reveals whether a host exists elsewhere. Raise Problem 422 `wrong_target`."""
    rows = service.instances.filter(_any_of(hosts, "host", "host__hostname"))
    known: dict[int | str, tuple[int, int, str, int | None]] = {}
    for row in rows.values_list("pk", "host_id", "host__hostname", "version_id"):
        known[row[1]] = known[row[2]] = row
    errors = []
    for host in hosts:
        if host not in known:
            errors.append(FieldError("/host", "wrong_target.host_without_instance", host=host, service=service.name))
            continue
        number, host_id, name, runs = known[host]
        if version and runs != version.pk:
            ids = {"host_id": host_id, "instance_id": number}
            reason = {"host": name, "id": host_id, "version": version.version}
            errors.append(FieldError("/host", "wrong_target.host_runs_other_version", ids, **reason))
    if errors:
        raise refused_targets(errors)
    return tuple(dict.fromkeys(known[host][1] for host in hosts))


def _any_of(hosts: Iterable[int | str], by_id: str, by_name: str) -> Q:
    hosts = list(hosts)
    names = [host for host in hosts if isinstance(host, str)]
    condition = Q(**{f"{by_id}__in": [host for host in hosts if isinstance(host, int)]})
    return condition | Q(**{f"{by_name}__in": names}) if names else condition


def _parse(value: object, pointer: str, expected: str, item: Callable[[object], _T | None]) -> tuple[_T, ...]:
    if isinstance(value, bool) or not isinstance(value, int | str | list | tuple):
        raise invalid(pointer, expected)
    parts = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int) else value
    parsed = [item(part) for part in parts]
    items = [part for part in parsed if part is not None]
    if len(items) < len(parsed):
        raise invalid(pointer, expected)
    if not items:
        raise invalid(pointer, "must_not_be_empty")
    if len(items) > MAX_NAMED:
        raise invalid(pointer, "too_many_targets", max=MAX_NAMED)
    return tuple(dict.fromkeys(items))


def _id(part: object) -> int | None:
    return parse_id(part.strip() if isinstance(part, str) else part)


def _host(part: object) -> int | str | None:
    text = part.strip() if isinstance(part, str) else ""
    if not text or text.isdigit():
        return _id(part)
    return text if text != ALL and HOSTNAME.match(text) else None
