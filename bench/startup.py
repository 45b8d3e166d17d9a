"""How long the product's commands take until they are ready."""

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from .figure import Figure
from .lab import Lab
from .product import ROOT, Product

TURNS = 5
COMMANDS = ("field_key", "check", "migrate --check", "showmigrations", "shell -c pass")
WEB_S, WORKER_S, MANAGE_S = 2.0, 2.0, 0.6


def measure(lab: Lab) -> Iterator[Figure]:
    lab.quiet()
    product = Product(lab.folder / "startup")
    product.prepare()
    environment = product.environment(product.prepared)
    for words in COMMANDS:
        yield Figure(f"manage.py {words}", _manage(words.split(), environment), "s", MANAGE_S)
    web, worker = [], []
    for _ in range(TURNS):
        began = time.perf_counter()
        product.start("broker", "web")  # until /healthz answers
        web.append(time.perf_counter() - began)
        began = time.perf_counter()
        product.start_part("worker")
        product.wait_until_ready()  # /readyz answers once a worker was seen
        worker.append(time.perf_counter() - began)
        product.stop()
    yield Figure("web", median(web), "s", WEB_S)
    yield Figure("worker", median(worker), "s", WORKER_S)


def _manage(words: list[str], environment: dict[str, str]) -> float:
    took = []
    for _ in range(TURNS + 1):  # the first one compiles
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        took.append(time.perf_counter() - began)
    return median(took[1:])
