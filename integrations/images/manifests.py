"""Manifests and indexes of images, as a registry sends them: checked against their digest, and read. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from messages import Message

from .errors import ImageUnusable
from .reference import Reference

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_CONFIGURATIONS = (  # another is that of a chart, a signature or the like, which no engine runs
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
MAX_PLATFORMS, MAX_LAYERS = 64, 1000
MAX_SIZE = 2**53  # bytes: what JSON readers keep exactly


@dataclass(frozen=True, slots=True)
class Platform:
    """An image of an index. `size`: as it is sent, in bytes; None where it was not asked for."""

    name: str  # linux/arm64/v8
    digest: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a reference means now. `reference` has the digest; `platforms` is empty where they are not known."""

    reference: Reference
    digest: str
    media_type: str
    size: int | None  # of what an engine loads, in bytes; None for an index
    platforms: tuple[Platform, ...]
    config: str = ""  # digest of the configuration of a single image


def read(reference: Reference, headers: Mapping[str, str], body: bytes) -> Resolved:
    """Return what the registry's answer says. Raise ImageUnusable.

    The digest is that of the bytes themselves. A registry that says another one, or that sends other bytes than the
    reference's digest names, is not believed.
    """
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    said = headers.get("docker-content-digest", "").strip()
    if (said.startswith("sha256:") and said != digest) or (reference.digest and reference.digest != digest):
        raise ImageUnusable(Message("image_digest_differs"), "read")
    manifest = _json(body)
    media_type = manifest.get("mediaType") or headers.get("content-type", "").partition(";")[0].strip()
    pinned = reference.with_digest(digest)
    if media_type in INDEXES:
        return Resolved(pinned, digest, media_type, None, _platforms(manifest))
    if media_type in MANIFESTS:
        size, config = _layers(manifest)
        return Resolved(pinned, digest, media_type, size, (), config)
    raise ImageUnusable(Message("image_kind"), "read")


def platform_of(configuration: bytes, image: Resolved) -> tuple[Platform, ...]:
    """Return the platform that a single image's configuration names; () where it names none or is not the image's."""
    if f"sha256:{hashlib.sha256(configuration).hexdigest()}" != image.config:
        return ()
    try:
        name = _platform_name(_json(configuration))
    except ImageUnusable:
        return ()
    return (Platform(name, image.digest, image.size),) if name else ()


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ImageUnusable(Message("image_kind"), "read")
    return value


def _layers(manifest: dict[str, Any]) -> tuple[int, str]:
    """Return the size of configuration and layers, and the configuration's digest."""
    config, layers = manifest.get("config"), manifest.get("layers")
    if not isinstance(config, dict) or not isinstance(layers, list) or len(layers) > MAX_LAYERS:
        raise ImageUnusable(Message("image_kind"), "read")
    if config.get("mediaType") not in _CONFIGURATIONS:
        raise ImageUnusable(Message("image_kind"), "read")
    sizes = [part.get("size") if isinstance(part, dict) else None for part in (config, *layers)]
    if not all(isinstance(size, int) and not isinstance(size, bool) and 0 <= size < MAX_SIZE for size in sizes):
        raise ImageUnusable(Message("image_kind"), "read")
    return sum(filter(None, sizes)), str(config.get("digest"))


def _platforms(index: dict[str, Any]) -> tuple[Platform, ...]:
    """Return the images of an index, without what only describes them (attestations have no platform)."""
    entries = index.get("manifests")
    if not isinstance(entries, list):
        raise ImageUnusable(Message("image_kind"), "read")
    found = []
    for entry in entries[:MAX_PLATFORMS]:
        about = entry if isinstance(entry, dict) else {}
        name, digest = _platform_name(about.get("platform")), about.get("digest")
        if name and isinstance(digest, str):
            found.append(Platform(name, digest[:100]))
    return tuple(found)


def _platform_name(platform: Any) -> str:
    if not isinstance(platform, dict):
        return ""
    parts = [platform.get(name) for name in ("os", "architecture", "variant")]
    name = "/".join(part for part in parts if isinstance(part, str) and part)
    usable = name.isascii() and name.isprintable() and len(name) <= 50 and "unknown" not in parts
    return name if usable and all(isinstance(part, str) for part in parts[:2]) else ""
