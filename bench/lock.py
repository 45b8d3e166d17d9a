"""The time of a request that locks and queues very many instances: from the POST to its 202."""

from collections.abc import Iterator
from statistics import median

from .browser import Browser
from .figure import Figure
from .lab import DATABASES, Lab
from .measure import cpu_of

COUNTS = (1_000, 10_000)
TURNS = 3
GOAL_S = 1.0


def measure(lab: Lab) -> Iterator[Figure]:
    for database in DATABASES:
        try:
            product = lab.large_system(database)
        except (OSError, RuntimeError) as error:  # this machine has no PostgreSQL, say
            yield Figure(f"{COUNTS[-1]:,} instances, {database}", None, reason=str(error))
            continue
        api = Browser(product.url, product.token)
        for count in COUNTS:
            yield from _upgrade(api, product.pids("web"), count, database)


def _upgrade(api: Browser, web: list[int], count: int, database: str) -> Iterator[Figure]:
    """Upgrade all of a service's instances, and cancel it before any worker is there."""
    service = f"/api/v1/services/big-{count}"
    new, old = (row["id"] for row in api.get(f"{service}/versions/").json()["data"])
    seconds, statements, cpu, cancelled = [], None, 0.0, []
    for turn in range(TURNS + 1):
        before = cpu_of(web)
        answer = api.post(f"{service}/versions/{old}/upgrade", {"dest_version": new, "host": "all"})
        deployment = answer.json()
        if sum(deployment["counts"].values()) != count:
            raise RuntimeError(f"{deployment['counts']} instead of {count} operations")
        if turn:  # the first one loads what later ones find
            seconds.append(answer.seconds)
            statements, cpu = answer.statements, cpu + (cpu_of(web) - before) * 1000 / TURNS
        cancelled.append(api.post(f"/api/v1/deployments/{deployment['id']}/cancel", {}).seconds)
    name = f"{count:,} instances, {database}"
    yield Figure(name, median(seconds), "s", GOAL_S)
    yield Figure(f"{name}: web's CPU", cpu, "ms")
    yield Figure(f"{name}: statements", statements)
    yield Figure(f"{name}: cancel", median(cancelled), "s", GOAL_S)
