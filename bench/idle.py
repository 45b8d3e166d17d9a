"""The cost of a large idle system: one web process and one worker."""

import time
from collections.abc import Iterator

from .figure import Figure
from .lab import Lab
from .measure import cpu_of, memory_of
from .product import Product

SETTLE, WATCHED = 5, 30  # seconds
CPU_PERCENT, MEMORY_MB = 1.0, 200


def measure(lab: Lab) -> Iterator[Figure]:
    product = lab.large_system("sqlite")
    with_worker(product)
    product.client.get("services/")  # what a first request loads is there, too
    time.sleep(SETTLE)
    web, worker = product.pids("web"), product.pids("worker")
    before_web, before_worker, began = cpu_of(web), cpu_of(worker), time.monotonic()
    time.sleep(WATCHED)
    seconds = time.monotonic() - began
    of_web, of_worker = cpu_of(web) - before_web, cpu_of(worker) - before_worker
    yield Figure("CPU", (of_web + of_worker) * 100 / seconds, "% of a core", CPU_PERCENT)
    yield Figure("CPU of the worker", of_worker * 100 / seconds, "% of a core")
    yield Figure("memory", memory_of(web + worker), "MB", MEMORY_MB)
    yield Figure("memory of the worker", memory_of(worker), "MB")
    product.stop_part("worker")


def with_worker(product: Product) -> None:
    """Start the worker of a product that has none, and return once it was seen."""
    product.start_part("worker")
    product.wait_until_ready()
