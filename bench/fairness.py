"""The delay of a deployment of one instance by an earlier one of 5,000."""

import time
from collections.abc import Iterator
from statistics import median

from .browser import Browser
from .figure import Figure
from .idle import with_worker
from .lab import Lab

TURNS = 5
GOAL_S = 2.0
HEAD_START = 2.0  # seconds


def measure(lab: Lab) -> Iterator[Figure]:
    product = lab.large_system("sqlite")
    with_worker(product)
    api = Browser(product.url, product.token)
    alone = median(_small(api) for _ in range(TURNS))
    service = "/api/v1/services/big-5000"
    versions = sorted(row["id"] for row in api.get(f"{service}/versions/").json()["data"])
    # In either direction: an earlier measurement may have upgraded it.
    running = api.get(f"{service}/instances/?limit=1").json()["data"][0]["version_id"]
    other = next(number for number in versions if number != running)
    action = "upgrade" if other > running else "revert"
    big = api.post(f"{service}/versions/{running}/{action}", {"dest_version": other, "host": "all"}).json()
    time.sleep(HEAD_START)
    behind = [_small(api) for _ in range(TURNS)]
    counts = api.get(f"/api/v1/deployments/{big['id']}").json()["counts"]
    api.post(f"/api/v1/deployments/{big['id']}/cancel", {})
    if not counts["queued"]:
        raise RuntimeError(f"the big one had nothing left to wait for: {counts}")
    yield Figure("one alone", alone, "s")
    yield Figure("one behind 5,000", max(0.0, max(behind) - alone), "s", GOAL_S)
    product.stop_part("worker")


def _small(api: Browser) -> float:
    """Return the seconds from the request to the end of a deployment of one instance, there and back by turns."""
    service = "/api/v1/services/big-1"
    versions = [row["id"] for row in api.get(f"{service}/versions/").json()["data"]]
    running = api.get(f"{service}/instances/").json()["data"][0]["version_id"]
    other = next(number for number in versions if number != running)
    action = "upgrade" if other > running else "revert"
    began = time.perf_counter()
    deployment = api.post(f"{service}/versions/{running}/{action}", {"dest_version": other, "host": "all"}).json()
    while deployment["status"] in ("queued", "running"):
        deployment = api.get(f"/api/v1/deployments/{deployment['id']}?wait=30").json()
    if deployment["status"] != "succeeded":
        raise RuntimeError(f"{deployment['status']}: {deployment['counts']}")
    return time.perf_counter() - began
