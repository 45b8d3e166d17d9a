"""What the dialogs say about a plan besides its targets: how far it goes, what lies between, what cannot be undone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from microservice.deployments.plan import Plan, TargetPlan
from microservice.models import MicroService, MicroServiceVersion

from . import plan_lists, version_diff
from .plan_lists import Position

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


def details(plan: Plan, position: Position) -> dict[str, Any]:
    """Return what the templates show of a plan besides its form. At most three queries, none of them for its lists."""
    service, alike = plan.deployment.microservice, plan_lists.alike(plan)
    found = ways(service, {one: len(rows) for one, rows in alike.items()})
    return {
        "token": plan.token,
        "count": len(plan.targets),
        "batches": plan.batches,
        "waits": plan.waits,
        "from_version": plan.deployment.from_version,
        "dest_version": plan.deployment.dest_version,
        "lists": plan_lists.lists(plan, position),
        "irreversible": sorted({name for one in alike for name in one.cannot_be_undone}),
        "ways": found[:SHOWN_WAYS],
        "more_ways": len(found[SHOWN_WAYS:]),
        "between": between(service, found[0]) if len(found) == 1 else None,
    }


def ways(service: MicroService, alike: Mapping[TargetPlan, int]) -> list[Way]:
    """Return the ways of a plan's targets, the most frequent first, with how far the first of them go. Two queries.

    `alike`: how many targets go alike.
    """
    counted: Counter[tuple[str, str, str]] = Counter()
    for one, number in alike.items():
        if one.from_version and one.dest_version:
            counted[str(one.action), one.from_version, one.dest_version] += number
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
