"""The whole way of images, through the HTTP API: settings, a recipe, builds, and containers on two hosts.

Safe to run again: what is there already is left as it is.
"""

import sys
import time
from pathlib import Path

from .client import Client
from .company import FIRST, SHOP
from .engine import Engine
from .fill import ended
from .supervise import Supervisor
from .surroundings import ROOT

NAME = "storefront"
PROJECT = "demo"
HOSTS = 2  # of the demo's hosts run it, all on the demo's one engine
VERSIONS = {"20250401090000-master-1a2b3c4": "Hello", "20250408090000-master-5d6e7f8": "Good day"}
PROGRAM = """\
#!/bin/sh
trap 'echo bye; exit 0' TERM
while :; do
  echo "$GREETING from $(cat /built)"
  sleep 5 & wait $!
done
"""


class NoImages(Exception):
    """The demo goes on without images. The text says why."""


def show(client: Client, engine: Engine, supervisor: Supervisor, log: Path, hosts: list[int]) -> None:
    """Go the whole way. Raise NoImages or Refused."""
    _wait(engine, supervisor, log)
    _configure(client, engine)
    if client.find(f"services/{NAME}") is None:
        _push_base(engine, supervisor, log)
        _service(client, engine)
    versions = _versions(client, engine)
    if not client.get(f"services/{NAME}/instances/")["count"]:
        made = client.post(f"services/{NAME}/versions/{versions[0]}/install", {"host": hosts[:HOSTS], "note": FIRST})
        if ended(client, made["id"])["status"] != "succeeded":
            raise NoImages(f"{NAME} was not installed: see the deployment {made['id']}")


def _wait(engine: Engine, supervisor: Supervisor, log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while supervisor.job(["docker", "version"], engine.environment, ROOT, log):
        if supervisor.stopping.wait(0.2) or time.monotonic() > deadline:
            raise NoImages(f"the engine did not start; see {log.with_name('engine.log')}")


def _configure(client: Client, engine: Engine) -> None:
    """Save the settings, unless a person saved other ones."""
    now = client.get("settings/")["settings"]
    if not now.get("docker") and not now.get("registry"):
        others = {
            name: {key: value for key, value in part.items() if not key.endswith("_set")}
            for name, part in now.items()
            if part
        }
        registry = {"url": f"http://{engine.registry}", "project": PROJECT, "user": engine.user}
        docker = {"url": engine.url, "network": "none"}
        client.send(
            "PUT", "settings/", {**others, "registry": {**registry, "password": engine.password}, "docker": docker}
        )
    elif (now.get("docker") or {}).get("url") != engine.url:
        raise NoImages("the settings name another engine or registry")


def _push_base(engine: Engine, supervisor: Supervisor, log: Path) -> None:
    base, archive = f"{engine.registry}/{PROJECT}/base:1", engine.folder / "base.tar"
    for command in (
        [sys.executable, "-m", "demo.base_image", str(archive)],
        ["docker", "import", "--change", "ENV PATH=/bin", str(archive), base],
        ["docker", "push", base],
    ):
        if supervisor.job(command, engine.environment, ROOT, log):
            raise NoImages(f"the base image could not be made; see {log}")
    archive.unlink()


def _service(client: Client, engine: Engine) -> None:
    client.post(
        "services/",
        {
            "name": NAME,
            "team": SHOP,
            "description": "Pages of the web shop",
            "build_orig": "image",
            "environment": {"DOCKER_HOST": engine.url},
            "check_timeout": 20,
            "keep_releases": 3,
        },
    )
    commands = client.post(f"services/{NAME}/container-commands", {"options": ["--network=none"]})
    client.patch(f"services/{NAME}", commands)


def _versions(client: Client, engine: Engine) -> list[int]:
    """Return the ids of the versions, each built from a recipe of its own."""
    path = f"services/{NAME}/versions/"
    known = {row["version"]: row for row in client.all(path)}
    for version, greeting in VERSIONS.items():
        row = known.get(version)
        if row is None:
            row = known[version] = client.post(path, {"version": version, "ref": "master"})
        if row["status_str"] not in ("success", "building"):
            client.patch(f"services/{NAME}", {"recipe": _recipe(engine, greeting)})
            client.post(f"{path}{row['id']}/build", {"again": True})
        _until_built(client, f"{path}{row['id']}/build")
    return [known[version]["id"] for version in VERSIONS]


def _recipe(engine: Engine, greeting: str) -> dict:
    return {
        "base": f"{engine.registry}/{PROJECT}/base:1",
        "env": {"GREETING": greeting},
        "files": [{"path": "/hello", "text": PROGRAM, "mode": "0755"}],
        "run": ["date > /built"],
        "cmd": ["/hello"],
    }


def _until_built(client: Client, path: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while True:
        build = client.get(path)
        if build["status_str"] == "success":
            return
        if build["status_str"] not in ("pending", "building") or time.monotonic() > deadline:
            raise NoImages(f"a version of {NAME} is {build['status_str']}: {build['detail']}")
        time.sleep(0.3)
