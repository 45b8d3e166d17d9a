"""The time from the POST of an upgrade of one instance to the first byte that the worker sends to its host."""

import time
from collections.abc import Iterator
from statistics import median, quantiles

from . import packages
from .browser import Browser
from .figure import Figure
from .lab import Lab
from .product import DEFINITION
from .relay import Relay

CLICKS = 100
GOAL_MS = 50
QUIET = 0.1  # seconds between two clicks: the system is idle


def measure(lab: Lab) -> Iterator[Figure]:
    product = lab.product()
    with Relay(lab.hosts.addresses[0], lab.hosts.port) as relay:
        api = Browser(product.url, product.token)
        versions = _install(lab, api, relay.port)
        delays, answers = [], []
        for number in range(CLICKS):
            time.sleep(QUIET)
            relay.first.clear()
            old, new = versions[number % 2], versions[1 - number % 2]
            action = "upgrade" if new > old else "revert"
            began = time.perf_counter()
            answer = api.post(f"/api/v1/services/click/versions/{old}/{action}", {"dest_version": new, "host": "all"})
            product.ended(answer.json())
            delays.append((relay.first[0] - began) * 1000)
            answers.append(answer.seconds * 1000)
    yield Figure("to first byte, median", median(delays), "ms")
    yield Figure("to first byte, p99", quantiles(delays, n=100)[98], "ms", GOAL_MS)
    yield Figure("to the 202, median", median(answers), "ms")


def _install(lab: Lab, api: Browser, port: int) -> list[int]:
    """Create a service on one host behind the relay, with two versions. Return their ids, the older one first."""
    product, address = lab.product(), lab.hosts.addresses[0]
    folder = lab.folder / "clicked"
    folder.mkdir()
    (credential,) = (row["id"] for row in api.get("/api/v1/credentials/").json()["data"])
    host = api.post(
        "/api/v1/hosts/",
        {
            "hostname": "clicked",
            "ip": address,
            "port": port,
            "username": lab.hosts.user,
            "credential_id": credential,
            "base_path": str(folder),
            "host_key": lab.hosts.host_key,
        },
    ).json()["id"]
    api.post("/api/v1/services/", DEFINITION | {"name": "click"})
    versions = []
    for name in ("v1", "v2"):
        versions.append(api.post("/api/v1/services/click/versions/", {"version": name}).json()["id"])
        package = packages.make(lab.folder, name, 1 << 10)
        product.client.put_package(f"services/click/versions/{versions[-1]}/package", package.read_bytes())
    product.ended(api.post(f"/api/v1/services/click/versions/{versions[0]}/install", {"host": [host]}).json())
    return versions
