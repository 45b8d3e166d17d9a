"""The cost per instance in deployments of 50, 500 and 5,000: time, and CPU of web, broker and worker together."""

import time
from collections.abc import Iterator

from .browser import Browser
from .figure import Figure
from .idle import with_worker
from .lab import Lab
from .measure import cpu_of
from .product import Product

COUNTS = (50, 500, 5_000)
SAME = 1.25  # how much more an instance may cost among 5,000 than among 500
LONGEST = 240  # seconds


def measure(lab: Lab) -> Iterator[Figure]:
    product = lab.large_system("sqlite")
    with_worker(product)
    costs = {}
    for count in COUNTS:
        wall, cpu = _upgrade(product, count)
        costs[count] = cpu
        yield Figure(f"{count:,} instances: time for each", wall, "ms")
        yield Figure(f"{count:,} instances: CPU for each", cpu, "ms")
    yield Figure("CPU for each, 5,000 : 500", costs[5_000] / costs[500], "", SAME)
    product.stop_part("worker")


def _upgrade(product: Product, count: int) -> tuple[float, float]:
    """Upgrade all instances. Return the milliseconds for each: wall and CPU."""
    api = Browser(product.url, product.token)
    service = f"/api/v1/services/big-{count}"
    new, old = (row["id"] for row in api.get(f"{service}/versions/").json()["data"])
    before, began = cpu_of(pids := product.pids()), time.perf_counter()
    deployment = api.post(f"{service}/versions/{old}/upgrade", {"dest_version": new, "host": "all"}).json()
    while deployment["status"] in ("queued", "running"):
        if time.perf_counter() - began > LONGEST:
            raise RuntimeError(f"{count} instances took longer than {LONGEST} s: {deployment['counts']}")
        deployment = api.get(f"/api/v1/deployments/{deployment['id']}?wait=30").json()
    if deployment["status"] != "succeeded":
        raise RuntimeError(f"{deployment['status']}: {deployment['counts']}")
    return (time.perf_counter() - began) * 1000 / count, (cpu_of(pids) - before) * 1000 / count
