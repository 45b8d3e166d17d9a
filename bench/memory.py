"""Memory of a worker with very many operations in flight, and during the transfer of a package of 2 GB."""

import gzip
import io
import random
import shutil
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from demo.client import OPENER

from . import packages
from .figure import Figure
from .hosts import SERVICE
from .lab import SLOTS, Lab
from .measure import Peak, memory_of
from .product import Product

WORKER_MB = 150
FLAT_MB = 32  # what a package of any size may take besides
PACKAGE = 2_000_000_000
HOLD = 8  # seconds for which each host keeps its operation in flight
PIECE = 1 << 20


def measure(lab: Lab) -> Iterator[Figure]:
    product = lab.wide_product()
    rows = product.client.get(f"services/{SERVICE}/instances/?limit=500")["data"]
    instances, old = [row["id"] for row in rows][:SLOTS], rows[0]["version_id"]
    service = product.client.get(f"services/{SERVICE}")
    yield Figure("worker at rest", memory_of(product.pids("worker")), "MB")
    slow = {"check_command": f"sleep {HOLD}; {service['check_command']}"}
    product.client.patch(f"services/{SERVICE}", slow)
    new = _publish(product, packages.make(lab.folder, "held").read_bytes())
    with Peak(lambda: product.pids("worker")) as peak:
        most = _in_flight(product, old, new, instances)
    yield Figure(f"worker, {most} operations in flight", peak.most, "MB", WORKER_MB)
    product.client.patch(f"services/{SERVICE}", {"check_command": service["check_command"]})
    yield from _large(lab, product, new, instances[0])


def _publish(product: Product, package: bytes) -> int:
    version = product.client.post(f"services/{SERVICE}/versions/", {"version": "held"})["id"]
    product.client.put_package(f"services/{SERVICE}/versions/{version}/package", package)
    return version


def _in_flight(product: Product, old: int, new: int, instances: list[int]) -> int:
    """Return how many operations ran at once at most."""
    request = {"dest_version": new, "instances": instances}
    deployment = product.client.post(f"services/{SERVICE}/versions/{old}/upgrade", request)
    most = 0
    while deployment["status"] in ("queued", "running"):
        most = max(most, deployment["counts"]["running"])
        time.sleep(0.2)
        deployment = product.client.get(f"deployments/{deployment['id']}")
    product.ended(deployment)
    return most


def _large(lab: Lab, product: Product, old: int, instance: int) -> Iterator[Figure]:
    if shutil.disk_usage(lab.folder).free < 4 * PACKAGE:
        yield Figure("2 GB package", None, reason=f"{lab.folder} has no room for it")
        return
    version = product.client.post(f"services/{SERVICE}/versions/", {"version": "large"})["id"]
    package = lab.folder / "large.tar.gz"
    _write_large(package)
    url = f"{product.url}/api/v1/services/{SERVICE}/versions/{version}/package"
    headers = {
        "Authorization": f"Bearer {product.token}",
        "Content-Type": "application/gzip",
        "Content-Length": str(package.stat().st_size),
    }
    before, began = memory_of(product.pids("web")), time.perf_counter()
    with Peak(lambda: product.pids("web")) as peak, package.open("rb") as file:
        OPENER.open(urllib.request.Request(url, file, headers, method="PUT"), timeout=300).close()
    seconds = time.perf_counter() - began
    package.unlink()
    yield Figure("2 GB package in: growth of web", peak.most - before, "MB", FLAT_MB)
    yield Figure("2 GB package in", PACKAGE / 1e6 / seconds, "MB/s")
    before, began = memory_of(product.pids("worker")), time.perf_counter()
    with Peak(lambda: product.pids("worker")) as peak:
        request = {"dest_version": version, "instances": [instance]}
        product.ended(product.client.post(f"services/{SERVICE}/versions/{old}/upgrade", request))
    seconds = time.perf_counter() - began
    yield Figure("2 GB package out: growth of worker", peak.most - before, "MB", FLAT_MB)
    yield Figure("2 GB package out, the whole upgrade", PACKAGE / 1e6 / seconds, "MB/s")


def _write_large(path: Path) -> None:
    """Write a .tar.gz of PACKAGE bytes that no compression makes smaller."""
    block = random.Random(1).randbytes(PIECE)
    zipped = gzip.GzipFile(path, mode="wb", compresslevel=0)
    with zipped, tarfile.open(fileobj=zipped, mode="w|") as tar:
        for name, size in (("VERSION", len(b"large\n")), ("data", PACKAGE)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = size, 0o644
            tar.addfile(entry, io.BytesIO(b"large\n") if name == "VERSION" else _Repeated(block))  # type: ignore[arg-type]


class _Repeated:
    """A file that gives the same block for ever."""

    def __init__(self, block: bytes):
        self._block = block

    def read(self, size: int) -> bytes:
        return (self._block * (size // len(self._block) + 1))[:size]
