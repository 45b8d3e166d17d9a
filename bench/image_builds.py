"""What the product adds to the build of an image: from the request to its end, beside the engine's own API alone.

Needs root, an engine and a registry (`scripts/test-packages`): both are started here.
"""

import base64
import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from tests.lab import docker, image_registry
from tests.lab.docker import Dockerd
from tests.lab.image_registry import ImageRegistry

from .browser import Browser
from .figure import Figure
from .lab import Lab

TURNS, STEP = 4, 20  # builds of each; seconds of their one step
GOAL_PERCENT = 3.0
USER, WORD = "bench", "a-password-of-the-bench"
LOOKS = 0.05  # seconds between two looks at a build


def measure(lab: Lab) -> Iterator[Figure]:
    reason = docker.why_not() or ("" if image_registry.installed() else image_registry.MISSING)
    if reason:
        yield Figure("all", None, reason=reason)
        return
    registry = ImageRegistry(lab.folder / "registry-of-builds", users={USER: WORD})
    with Dockerd(Path("/tmp") / f"built-{lab.folder.name[-8:]}") as engine, registry:
        bench = _Bench(lab, engine, registry)
        own, plain = [], []
        for turn in range(TURNS + 1):
            taken = bench.by_hand(turn), bench.by_product(turn)
            if turn:  # the first one loads what later ones find
                plain.append(taken[0])
                own.append(taken[1])
    yield Figure("build and push of an image, a step of 20 s", median(own), "s")
    yield Figure("the same by the engine's API alone", median(plain), "s")
    yield Figure("what the product adds", (median(own) / median(plain) - 1) * 100, "%", GOAL_PERCENT)


class _Bench:
    """One service, each of whose versions is another build: the recipe names the turn."""

    def __init__(self, lab: Lab, engine: Dockerd, registry: ImageRegistry):
        self.engine, self.registry = engine, registry
        product = lab.product()
        self.api, self.client = Browser(product.url, product.token), product.client
        engine.add_base("base:1")
        self.base = f"{registry.host}/base"
        engine.asked("POST", f"/images/base:1/tag?{urlencode({'repo': self.base, 'tag': '1'})}")
        self._push(self.base, "1")
        settings = {
            "docker": {"url": engine.socket_url, "network": "none"},
            "registry": {"url": registry.url, "user": USER, "password": WORD},
        }
        self.client.send("PUT", "settings/", settings)
        self.api.post("/api/v1/services/", {"name": "built", "build_orig": "image", "recipe": self._recipe(0)})

    def by_product(self, turn: int) -> float:
        """Request a build; return the seconds until it is a version that could be deployed."""
        self.client.send("PATCH", "services/built", {"recipe": self._recipe(turn)})
        version = self.api.post("/api/v1/services/built/versions/", {"version": f"v{turn}"}).json()["id"]
        path = f"/api/v1/services/built/versions/{version}/build"
        began = time.perf_counter()
        self.api.post(path, {})
        while (state := self.api.get(path).json())["status_str"] in ("pending", "building"):
            time.sleep(LOOKS)
        taken = time.perf_counter() - began
        if state["status_str"] != "success":
            raise RuntimeError(f"the build did not succeed: {state['detail']}")
        return taken

    def by_hand(self, turn: int) -> float:
        """Build and push the same by the engine's API."""
        text = f"FROM {self.base}:1\nENV TURN=hand{turn}\nRUN sleep {STEP}\n"
        target, data = io.BytesIO(), text.encode()
        with tarfile.open(fileobj=target, mode="w") as tar:
            member = tarfile.TarInfo("Dockerfile")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        name = f"{self.registry.host}/by-hand"
        query = urlencode({"t": f"{name}:{turn}", "networkmode": "none", "forcerm": 1})
        began = time.perf_counter()
        _succeeded(*self.engine.ask("POST", f"/build?{query}", target.getvalue()))
        self._push(name, str(turn))
        return time.perf_counter() - began

    def _recipe(self, turn: int) -> dict:
        return {"base": f"{self.base}:1", "env": {"TURN": str(turn)}, "run": [f"sleep {STEP}"]}

    def _push(self, name: str, tag: str) -> None:
        login = {"username": USER, "password": WORD, "serveraddress": self.registry.host}
        header = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(login).encode()).decode()}
        _succeeded(*self.engine.ask("POST", f"/images/{name}/push?tag={tag}", None, **header))


def _succeeded(status: int, answer: bytes) -> None:
    if status != 200 or b'"errorDetail"' in answer:
        raise RuntimeError(f"the engine answered {status}: {answer[-300:].decode(errors='replace')}")
