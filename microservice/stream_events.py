"""Events as a stream shows them: read from their rows, with what decides who may see each."""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Max

from asset.models import HostTeam
from audit import events
from audit.models import Event

from .models import Deployment, MicroService

BATCH = 500  # rows of one read
NO_TEAMS: frozenset[int] = frozenset()
DELETED_SERVICE = -1  # in place of the team of a service that was deleted


@dataclass(frozen=True, eq=False)
class StreamEvent:
    """An event, with what decides who may see it: its service, the service's team, and the teams of its host.

    Ids are 0 where there is none: `deployment_id` of a change by hand, `service_id` of an event about a host.
    """

    id: int
    deployment_id: int
    service_id: int
    team_id: int | None
    kind: str
    data: dict[str, Any]
    created: str
    host_teams: frozenset[int] = frozenset()

    @cached_property
    def text(self) -> bytes:
        """The event in the format of a stream, rendered once for all. JSON has no bare line ends that could begin a
        field."""
        about = {"deployment_id": self.deployment_id} if self.deployment_id else {}
        data = {**about, "service_id": self.service_id, "at": self.created, **self.data}
        return f"id: {self.id}\nevent: {self.kind}\ndata: {json.dumps(data)}\n\n".encode()


class _ServiceOfDeployment:
    """The service of each deployment. It never changes, so the newest few thousand are remembered."""

    def __init__(self, size: int = 5000) -> None:
        self._known: OrderedDict[int, int] = OrderedDict()
        self._size = size
        self._lock = threading.Lock()

    def of(self, deployment_ids: Iterable[int]) -> dict[int, int]:
        """Return {deployment: service}, without deployments that do not exist."""
        wanted = set(deployment_ids)
        with self._lock:
            known = {pk: self._known[pk] for pk in wanted if pk in self._known}
        missing = wanted - set(known)
        if missing:
            known |= dict(Deployment.objects.filter(pk__in=missing).values_list("pk", "microservice_id"))
            with self._lock:
                self._known.update((pk, known[pk]) for pk in missing if pk in known)
                while len(self._known) > self._size:
                    self._known.popitem(last=False)
        return known


_services = _ServiceOfDeployment()


def read(last_id: int, deployment_id: int | None = None) -> list[StreamEvent]:
    """Read the next events after an id, BATCH at most."""
    rows = events.after(last_id, deployment_id, BATCH)
    known = _services.of(row.deployment_id for row in rows if row.deployment_id)
    service_ids = [known.get(row.deployment_id or 0, row.data.get("service_id", 0)) for row in rows]
    services = MicroService.objects.order_by().filter(pk__in=set(service_ids))
    teams = dict(services.values_list("pk", "team")) if any(service_ids) else {}
    host_teams = _teams_of_hosts(row.data.get("id", 0) for row in rows if row.kind == "host")
    return [
        StreamEvent(
            row.pk,
            row.deployment_id or 0,
            service_id,
            teams.get(service_id, DELETED_SERVICE),
            row.kind,
            row.data,
            row.created.isoformat(),
            host_teams.get(row.data.get("id", 0), NO_TEAMS) if row.kind == "host" else NO_TEAMS,
        )
        for row, service_id in zip(rows, service_ids, strict=True)
    ]


def _teams_of_hosts(host_ids: Iterable[int]) -> dict[int, frozenset[int]]:
    """Return {host: teams} of the hosts that belong to teams. One query, none without hosts."""
    teams: dict[int, set[int]] = {}
    if wanted := set(host_ids):
        for host, team in HostTeam.objects.filter(host__in=wanted).values_list("host", "team"):
            teams.setdefault(host, set()).add(team)
    return {host: frozenset(numbers) for host, numbers in teams.items()}


def newest() -> int:
    """Return the id of the newest event; 0 where there is none."""
    return Event.objects.aggregate(newest=Max("id"))["newest"] or 0
