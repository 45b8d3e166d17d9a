"""Containers that look into an image: locked down, bounded in time, memory and output, and always removed.

They have no network, no privileges and nothing writable but a small /tmp. The engine's socket is given to no container.
"""

import posixpath
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from . import images
from .engine import Engine
from .errors import EngineAway, EngineFailed, EngineRefused, GivenUp
from .target import Interrupt

LABEL = "deployer.look"
LEFT = 600  # seconds after which a container of ours was left behind by a process that is gone
MAX_OUTPUT = 256 * 1024  # bytes
MIB = 1024 * 1024
LOCKED: dict[str, Any] = {
    "NetworkMode": "none",
    "ReadonlyRootfs": True,
    "CapDrop": ["ALL"],
    "SecurityOpt": ["no-new-privileges"],
    "Privileged": False,
    "IpcMode": "private",
    "Memory": 256 * MIB,
    "MemorySwap": 256 * MIB,
    "PidsLimit": 64,
    "NanoCpus": 1_000_000_000,
    "Tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=16m"},  # noqa: S108 - in the container
    "RestartPolicy": {"Name": "no"},
    "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
    "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
}


@dataclass(frozen=True)
class Ran:
    """What a container did. `status`: its exit status, None where it was ended because its time was up."""

    status: int | None
    output: str  # its standard output
    errors: str


def run(
    engine: Engine,
    image: str,
    command: list[str],
    *,
    seconds: float,
    environment: dict[str, str] | None = None,
    interrupt: Interrupt | None = None,
) -> Ran:
    """Run a command in a new container of an image that the engine has, and return what it did.

    Raise EngineRefused where it cannot be started (the image has no such program, say), EngineFailed, GivenUp.
    """
    spec = _spec(image, command, environment)
    spec["HostConfig"] = {**LOCKED, "Mounts": _no_volumes(images.inspect(engine, image, interrupt))}
    answer = engine.get("POST", "/containers/create", spec, interrupt=interrupt)
    with engine.understood():
        made = str(answer["Id"])
    try:
        engine.get("POST", f"/containers/{made}/start", interrupt=interrupt)
        status = _waited(engine, made, seconds, interrupt)
        logs = engine.ask(
            "GET", f"/containers/{made}/logs?stdout=1&stderr=1", max_bytes=2 * MAX_OUTPUT, interrupt=interrupt
        )
        output, errors = _parted(logs.body)
        return Ran(status, output, errors)
    finally:
        remove(engine, made)


def remove(engine: Engine, container: str) -> None:
    """End and remove a container with its volumes. What cannot be reached now, `sweep` removes later."""
    try:
        engine.ask("DELETE", f"/containers/{container}?force=1&v=1")
    except (EngineFailed, GivenUp):
        pass


def sweep(engine: Engine, now: float | None = None) -> int:
    """Remove what a process that is gone has left behind; return how many there were."""
    query = urlencode({"all": "1", "filters": '{"label": ["' + LABEL + '"]}'})
    found = engine.get("GET", f"/containers/json?{query}")
    limit = (time.time() if now is None else now) - LEFT
    with engine.understood():
        old = [each["Id"] for each in found if each["Created"] < limit]
    for each in old:
        remove(engine, each)
    return len(old)


def _spec(image: str, command: list[str], environment: dict[str, str] | None) -> dict[str, Any]:
    return {
        "Image": image,
        "Entrypoint": command,
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in (environment or {}).items()],
        "User": "65534:65534",
        "WorkingDir": "/",
        "NetworkDisabled": True,
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",
        "Labels": {LABEL: "1"},
    }


def _no_volumes(image: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return mounts that take the places of the volumes that an image asks for: an engine's would be writable, and as
    large as its disk."""
    about = (image or {}).get("Config")
    volumes = about.get("Volumes") if isinstance(about, dict) else None
    places = {posixpath.normpath(f"/{each}".replace("//", "/")) for each in volumes or ()} - set(LOCKED["Tmpfs"])
    options = {"SizeBytes": 4096}
    return [{"Type": "tmpfs", "Target": each, "ReadOnly": True, "TmpfsOptions": options} for each in sorted(places)]


def _waited(engine: Engine, container: str, seconds: float, interrupt: Interrupt | None) -> int | None:
    """Wait for its end and return its exit status; None where it was killed because its time was up."""
    begun = time.monotonic()
    try:
        ended = engine.get("POST", f"/containers/{container}/wait", seconds=seconds, interrupt=interrupt)
        with engine.understood():
            return int(ended["StatusCode"])
    except EngineAway:
        if time.monotonic() - begun < seconds:
            raise
    try:
        engine.get("POST", f"/containers/{container}/kill", interrupt=interrupt)
    except EngineRefused:
        pass  # it has just ended
    return None


def _parted(frames: bytes) -> tuple[str, str]:
    """Return (output, errors) of an engine's frames: a byte for the kind, three of nothing, four for the size."""
    pieces: dict[int, list[bytes]] = {1: [], 2: []}
    at = 0
    while at + 8 <= len(frames):
        kind, size = frames[at], int.from_bytes(frames[at + 4 : at + 8], "big")
        pieces.get(kind, []).append(frames[at + 8 : at + 8 + size])
        at += 8 + size
    output, errors = (b"".join(pieces[kind])[:MAX_OUTPUT].decode("utf-8", "replace") for kind in (1, 2))
    return output, errors
