"""What the dialogs say about a plan besides its targets: how far it goes, which hosts go alike, what lies between."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from microservice.models import MicroService, MicroServiceVersion

from . import version_diff

SHOWN_WAYS, SHOWN_VERSIONS = 20, 8
_SHOWN = ("version", "created", "image", "image_tag", "microservice_id")


@dataclass(slots=True)
class Way:
    """What happens to targets that go from one version to another: the action, how many, and how far.

    `apart`: how many versions lie between, the last one counted. `old` and `new`: the versions, where they are shown.
    """

    action: str
    version: str
    dest: str
    count: int
    apart: int = 0
    old: MicroServiceVersion | None = None
    new: MicroServiceVersion | None = None


@dataclass(frozen=True, slots=True)
class Between:
    """What lies between the versions of a plan with one way: the range of commits, and the newest versions."""

    way: Way
    commits: str
    compare: str
    versions: list[MicroServiceVersion]


def details(plan: Mapping[str, Any], service: MicroService) -> dict[str, Any]:
    """Return what the templates show of a plan besides the plan itself. At most three queries."""
    targets = plan["targets"]
    found = ways(service, targets)
    return {
        "groups": group_by_steps(targets),
        "irreversible": irreversible_steps(targets),
        "ways": found[:SHOWN_WAYS],
        "more_ways": len(found[SHOWN_WAYS:]),
        "between": between(service, found[0]) if len(found) == 1 else None,
    }


def group_by_steps(targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Group hosts that have the very same steps. Pure."""
    groups: dict[str, dict[str, Any]] = {}
    texts: dict[int, str] = {}  # of each list, because most targets share theirs
    for target in targets:
        steps = target["steps"]
        if (text := texts.get(id(steps))) is None:
            text = texts[id(steps)] = repr(steps)
        group = groups.setdefault(text, {"steps": steps, "hosts": []})
        group["hosts"].append(target["host"])
    return list(groups.values())


def irreversible_steps(targets: list[dict[str, Any]]) -> list[str]:
    """Return the steps that cannot be undone on at least one of these hosts. Pure."""
    return sorted({name for target in targets for name in target["cannot_be_undone"]})


def ways(service: MicroService, targets: Iterable[Mapping[str, Any]]) -> list[Way]:
    """Return the ways of a plan's targets, the most frequent first, with how far the first of them go. Two queries."""
    moves = [target for target in targets if target["from_version"] and target["dest_version"]]
    counted = Counter((target["action"], target["from_version"], target["dest_version"]) for target in moves)
    found = [Way(*way, count=number) for way, number in counted.most_common()]
    shown = found[:SHOWN_WAYS]
    if not shown:
        return []
    rows = MicroServiceVersion.objects.filter(microservice=service)
    named = {name for way in shown for name in (way.version, way.dest)}
    known = {row.version: row for row in rows.filter(version__in=named).only(*_SHOWN)}
    counts = {}
    for place, way in enumerate(shown):
        way.old, way.new = known[way.version], known[way.dest]
        first, last = sorted((way.old.pk, way.new.pk))
        counts[f"way_{place}"] = Count("pk", filter=Q(pk__gt=first, pk__lte=last))
    apart = rows.aggregate(**counts)
    for place, way in enumerate(shown):
        way.apart = apart[f"way_{place}"]
    return found


def between(service: MicroService, way: Way) -> Between:
    """Return what lies between the versions of a way that `ways` returned. One query."""
    assert way.old and way.new, "the first ways have their versions"
    first, last = sorted((way.old.pk, way.new.pk))
    rows = MicroServiceVersion.objects.filter(microservice=service, pk__gt=first, pk__lte=last)
    return Between(
        way,
        version_diff.commits(way.version, way.dest),
        version_diff.compare_link(service.build_url, service.build_orig, way.version, way.dest),
        list(rows.order_by("-pk")[:SHOWN_VERSIONS]),
    )
