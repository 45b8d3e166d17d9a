"""Images: a version from one, and a deployment of one that the host has, beside the same with a package of 1 KiB.

Needs root, an engine and a registry (`scripts/test-packages`): both are started here.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from tests.lab import base_image, docker, image_registry
from tests.lab.docker import Dockerd
from tests.lab.image_registry import ImageRegistry

from . import packages
from .browser import Browser
from .figure import Figure
from .lab import Lab
from .product import DEFINITION

TURNS = 20
GOAL_TIMES, GOAL_S = 1.3, 0.5
USER, WORD = "bench", "a-password-of-the-bench"
RUNS = ["/bin/busybox", "sleep", "100000"]
# Checked by a command in the container: a container that only runs would be watched for three seconds.
CONTAINER = {"stop_seconds": 0, "check": "command", "check_value": "true", "options": ["--network=none"]}


def measure(lab: Lab) -> Iterator[Figure]:
    reason = docker.why_not() or ("" if image_registry.installed() else image_registry.MISSING)
    if reason:
        yield Figure("all", None, reason=reason)
        return
    lab.product()
    registry = ImageRegistry(lab.folder / "registry", users={USER: WORD})
    with Dockerd(Path("/tmp") / f"bench-{lab.folder.name[-8:]}") as engine, registry:
        yield from _measured(lab, engine, registry)


def _measured(lab: Lab, engine: Dockerd, registry: ImageRegistry) -> Iterator[Figure]:
    bench = _Bench(lab, engine, registry)
    own, server = bench.publish_images()
    yield Figure("a version from an image, without the registry's own time", own, "s", GOAL_S)
    yield Figure("the registry's own time for it", server, "s")
    bench.install()
    image: list[float] = []
    package: list[float] = []
    run: list[float] = []
    for turn in range(TURNS + 1):
        taken = bench.change("pictured", turn), bench.change("packed", turn), bench.run_by_hand(turn)
        if turn:  # the first one loads what later ones find
            for kept, seconds in zip((image, package, run), taken, strict=True):
                kept.append(seconds)
    yield Figure("deployment of an image that the host has", median(image), "s")
    yield Figure("the same with a package of 1 KiB", median(package), "s")
    yield Figure("its commands by hand: stop, docker run, check", median(run), "s")
    times = median(image) / (median(package) + median(run))
    yield Figure("of an image, to the sum of both", times, "×", GOAL_TIMES)


class _Bench:
    """Two services on one host, `pictured` of images and `packed` of packages, each with two versions."""

    def __init__(self, lab: Lab, engine: Dockerd, registry: ImageRegistry):
        self.lab, self.engine, self.registry = lab, engine, registry
        self.product = lab.product()
        self.api = Browser(self.product.url, self.product.token)
        self.versions: dict[str, list[int]] = {"pictured": [], "packed": []}
        self.images: list[str] = []
        environment = {"DOCKER_HOST": engine.socket_url}
        self._post("/services/", {"name": "pictured", "environment": environment})
        self.commands = self._post("/services/pictured/container-commands", CONTAINER)
        self.product.client.patch("services/pictured", self.commands)
        self._post("/services/", DEFINITION | {"name": "packed"})
        settings = {"registry": {"url": registry.url, "user": USER, "password": WORD}}
        self.product.client.send("PUT", "settings/", settings)

    def publish_images(self) -> tuple[float, float]:
        """Publish both versions of each; return (seconds without the registry's, the registry's own)."""
        own, server = [], []
        busybox = base_image.busybox().read_bytes()
        for name in ("v1", "v2"):
            files = {"bin/busybox": busybox, "bin/sh": busybox, "version": name.encode()}
            digest = self.registry.push("team/pictured", name, files, config={"Cmd": RUNS})
            self.images.append(f"{self.registry.host}/team/pictured@{digest}")
            path = f"/v2/team/pictured/manifests/{name}"
            seconds = _seconds(partial(self.registry.ask, "GET", path, accept=image_registry.MANIFEST))
            image = f"{self.registry.host}/team/pictured:{name}"
            began = time.perf_counter()
            made = self._post("/services/pictured/versions/", {"version": name, "image": image})
            own.append(time.perf_counter() - began - seconds)
            server.append(seconds)
            self.versions["pictured"].append(made["id"])
            made = self._post("/services/packed/versions/", {"version": name})
            self.versions["packed"].append(made["id"])
            package = packages.make(self.lab.folder, name, 1 << 10)
            self.product.client.put_package(f"services/packed/versions/{made['id']}/package", package.read_bytes())
        return max(own), median(server)

    def install(self) -> None:
        host = self.api.get("/api/v1/hosts/").json()["data"][0]["id"]
        for service, (first, second) in self.versions.items():
            path = f"/services/{service}/versions/{first}"
            self.product.ended(self._post(f"{path}/install", {"host": [host]}))
            # Both releases and both images are on the host from here on.
            self.product.ended(self._post(f"{path}/upgrade", {"dest_version": second, "host": "all"}))

    def change(self, service: str, turn: int) -> float:
        """Revert to the first version, or upgrade to the second; return the seconds that it took."""
        first, second = self.versions[service]
        old, new, action = (first, second, "upgrade") if turn % 2 else (second, first, "revert")
        path = f"/services/{service}/versions/{old}/{action}"
        return _seconds(lambda: self.product.ended(self._post(path, {"dest_version": new, "host": "all"})))

    def run_by_hand(self, turn: int) -> float:
        """Run the three commands as the host does, without anything of the product."""
        seen = {"SERVICE": "byhand", "INSTANCE": "1", "VERSION": f"v{turn % 2}", "CURRENT": "/byhand/current"}
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin", "DOCKER_HOST": self.engine.socket_url}
        environment |= seen | {"IMAGE": self.images[turn % 2]}
        began = time.perf_counter()
        for name in ("stop_command", "start_command", "check_command"):
            subprocess.run(["sh", "-c", self.commands[name]], env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    def _post(self, path: str, body: dict) -> dict:
        answer = self.api.post(f"/api/v1{path}", body)
        return answer.json()


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
