"""What runs where, by the label of the hosts that tells most: a row for each environment, say, or for each site."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count

from access.callers import Caller
from asset import labels, tenancy
from microservice.models import MicroService, MicroServiceInstance

MAX_GROUPS = 8  # a label with more values than this tells hosts apart, not kinds of them
# The names that people give to what they think in, the first one first; any other name comes after these.
TELLING = ("environment", "env", "stage", "tier", "region", "site", "zone", "datacenter", "dc")


@dataclass(frozen=True, slots=True)
class Group:
    """The hosts with one value of the label ("": those without it), and which versions they run, the newest first."""

    value: str
    selector: str  # as a filter names it
    versions: list[tuple[int, str, int]]  # id (0: not installed yet), name, number of hosts

    @property
    def total(self) -> int:
        return sum(count for _, _, count in self.versions)


def groups(caller: Caller, of: MicroService) -> tuple[str, list[Group]]:
    """Return the label that tells most of a service's hosts, and its groups; ("", []) without one. One query."""
    rows = (
        MicroServiceInstance.objects.filter(tenancy.visible(caller, "host"), microservice=of)
        .values_list("host__labels", "version_id", "version__version")
        .annotate(n=Count("pk"))
        .order_by()
    )
    counted = [(dict(has or {}), number or 0, name or "", count) for has, number, name, count in rows]
    name = telling([has for has, *_ in counted])
    if not name:
        return "", []
    found: dict[str, dict[tuple[int, str], int]] = defaultdict(lambda: defaultdict(int))
    for has, number, version, count in counted:
        found[has.get(name, "")][number, version] += count
    return name, [
        Group(
            value,
            labels.as_text({name: value}) if value else "",
            [(*version, count) for version, count in sorted(found[value].items(), reverse=True)],
        )
        for value in sorted(found, key=lambda value: (not value, value))
    ]


def telling(hosts: Iterable[dict[str, str]]) -> str:
    """Return the name of the label that tells these kinds of hosts apart; "" without one. Pure.

    It has two to MAX_GROUPS values. A name of TELLING comes first, then the one with the fewest values.
    """
    values: dict[str, set[str]] = defaultdict(set)
    for has in hosts:
        for name, value in has.items():
            values[name].add(value)
    fit = [name for name, found in values.items() if 2 <= len(found) <= MAX_GROUPS and "" not in found]
    order = {name: place for place, name in enumerate(TELLING)}
    return min(fit, key=lambda name: (order.get(name, len(order)), len(values[name]), name), default="")
