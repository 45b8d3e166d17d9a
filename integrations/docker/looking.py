"""Look into an image and have an engine pull one, for requests: refusals are Problems.

Everything here waits for other systems: call it outside of a transaction.
"""

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from access.problems import Problem, invalid, refused
from access.secrets import Secret
from integrations import http_client, registry
from integrations.images import lookup
from integrations.images import reference as references
from integrations.images.credentials import credentials_of
from integrations.images.manifests import Platform
from integrations.images.reference import Reference

from . import containers, engine, images, sign_in, tools
from .engine import Engine
from .errors import EngineAway, EngineFailed, EngineRefused, GivenUp, StepFailed, masked
from .pull_progress import Progress
from .target import Interrupt
from .tools import Tool

MAX_PULL = 1800.0  # seconds of a pull that somebody watches
SILENCE = 120.0


@dataclass(frozen=True)
class Look:
    """What is known of an image. `size`: bytes to load; None where it depends on the platform or was not told.

    `source`: who was asked, "registry" or "engine". `pulled`: whether the engine has it, None without one. `tools`:
    what is in it, None where that was not asked.
    """

    reference: Reference  # with its digest
    source: str
    size: int | None
    platforms: tuple[Platform, ...]
    pulled: bool | None = None
    tools: dict[str, Tool | None] | None = None

    def recipe(self) -> dict[str, Any]:
        """Return the beginning of a recipe on this base."""
        return tools.recipe(self.reference.tagged or self.reference.pinned, self.tools or {})


@dataclass(frozen=True)
class _Settings:
    docker: dict[str, Any] | None
    registry: dict[str, Any] | None

    def auth(self, image: Reference) -> Secret | None:
        given = credentials_of(self.registry, image) if self.registry else None
        return given.x_registry_auth if given else None

    def connect(self) -> Engine:
        """Return the engine. Raise 409 `not_configured`, 503 `engine_unreachable`."""
        if self.docker is None:
            raise registry.not_configured("docker")
        try:
            return engine.connect(self.docker)
        except EngineFailed as error:
            raise problem(error) from error
        except http_client.BadCertificates as error:
            raise refused("engine_failed", page=registry.page_of("docker"), reason=error.message) from error


def look(given: str, *, with_tools: bool = False, elsewhere: bool = True, pointer: str = "/image") -> Look:
    """Return what a reference means now: from the registry of the settings, or else from the engine's view of others.

    `with_tools`: also what is in it, which the engine must have pulled. `elsewhere`: the engine may be sent to another
    registry than that of the settings, only for those who may have it build. Raise a Problem: 409 `not_configured`,
    `image_not_pulled` and those of registry and engine, 422 at `pointer` where there is no such image.
    """
    settings = _Settings(*registry.configured_together("docker", "registry"))
    image = lookup.parse(given, pointer)
    engine_used = settings.connect() if with_tools else None
    if _is_at_ours(settings, image) or not elsewhere or (settings.docker is None and not with_tools):
        found = lookup.resolve(given, pointer, with_platform=True)
        seen = Look(found.reference, "registry", found.size, found.platforms)
    else:
        engine_used = engine_used or settings.connect()
        seen = _told_by(engine_used, image, settings.auth(image), pointer)
    return _looked_into(engine_used, seen) if with_tools and engine_used else seen


def _is_at_ours(settings: _Settings, image: Reference) -> bool:
    part = settings.registry
    return part is not None and references.is_at(image, part["url"], part["hosts"])


def _told_by(asked: Engine, image: Reference, auth: Secret | None, pointer: str) -> Look:
    """Return what the engine learns from the image's own registry, which it may reach and we do not."""
    headers = sign_in.header(sign_in.AUTH, auth)
    try:
        said = asked.get("GET", f"/distribution/{quote(str(image))}/json", headers=headers)
    except EngineRefused as error:
        masked(error, sign_in.mask(auth))
        raise invalid(pointer, "engine_knows_no_image", image=str(image), words=error.words) from error
    except EngineFailed as error:
        raise problem(masked(error, sign_in.mask(auth))) from error
    try:
        with asked.understood():
            names = [name for each in said.get("Platforms") or () if (name := _platform(each))]
            digest = (said.get("Descriptor") or {}).get("digest")
    except EngineFailed as error:
        raise problem(error) from error
    try:
        pinned = references.parse(f"{image.host}/{image.name}@{digest}")
    except references.BadReference as error:
        raise invalid(pointer, error.message) from error
    every = tuple(Platform(name, pinned.digest) for name in names)
    return Look(image.with_digest(pinned.digest), "engine", None, every[:64])


def _platform(about: dict[str, Any]) -> str:
    parts = [str(about.get(name) or "")[:20] for name in ("os", "architecture", "variant")]
    return "" if "unknown" in parts else "/".join(filter(None, parts))


def _looked_into(asked: Engine, seen: Look) -> Look:
    image = seen.reference.pinned
    try:
        if images.inspect(asked, image) is None:
            raise refused("image_not_pulled", image=image)
        containers.sweep(asked)
        said = _tools(asked, image)
    except EngineFailed as error:
        raise problem(error) from error
    return Look(seen.reference, seen.source, seen.size, seen.platforms, True, said)


def _tools(asked: Engine, image: str) -> dict[str, Tool | None]:
    try:
        ran = containers.run(asked, image, tools.COMMAND, seconds=tools.SECONDS, environment=tools.ENVIRONMENT)
    except EngineRefused:  # it has no shell
        return tools.found("")
    return tools.found(ran.output)


class Pull:
    """A pull that somebody watches, by its `states`. Closing it ends the pull, and what was loaded stays.

    A state is {"state": "pulling", …} with the progress, and at the end {"state": "done", "image", "id", "already"}, or
    a Problem.
    """

    def __init__(self, given: str, pointer: str = "/image"):
        """Raise a Problem where it cannot begin."""
        settings = _Settings(*registry.configured_together("docker", "registry"))
        image = lookup.parse(given, pointer)
        self._engine = settings.connect()
        if _is_at_ours(settings, image):
            image = lookup.resolve(given, pointer).reference
        self._image = image.pinned if image.digest else str(image)
        self._auth, self._interrupt = settings.auth(image), Interrupt()
        try:  # a digest never changes, so it need not be asked for
            self._had = images.inspect(self._engine, self._image) if image.digest else None
        except EngineFailed as error:
            raise problem(error) from error

    def close(self) -> None:
        self._interrupt.cut()

    def states(self) -> Generator[dict[str, Any] | Problem, None, None]:
        if self._had is not None:
            yield self._done(self._had, already=True)
            return
        timer = threading.Timer(MAX_PULL, self._interrupt.cut)
        timer.daemon = True
        timer.start()
        try:
            yield from self._pulling()
        except StepFailed as error:
            yield refused("image_pull_failed", reason=error.words)
        except EngineFailed as error:
            yield problem(error)
        except GivenUp:
            yield refused("image_pull_failed.too_long", seconds=round(MAX_PULL))
        finally:
            timer.cancel()

    def _pulling(self) -> Iterator[dict[str, Any]]:
        progress = Progress()
        lines = images.pulling(self._engine, self._image, auth=self._auth, silence=SILENCE, interrupt=self._interrupt)
        for line in lines:
            progress.feed(line)
            yield {"state": "pulling", **progress.shown()}
        found = images.inspect(self._engine, self._image)
        if found is None:
            raise images.broke_off(self._engine)
        yield self._done(found, already=False)

    def _done(self, found: dict[str, Any], already: bool) -> dict[str, Any]:
        name = self._image.partition("@")[0]
        digests = [each for each in found.get("RepoDigests") or [] if isinstance(each, str)]
        pinned = self._image if "@" in self._image else next(iter(digests), "")
        return {"state": "done", "image": pinned or name, "id": str(found.get("Id", "")), "already": already}


def problem(error: EngineFailed) -> Problem:
    """Return the refusal that an error of the engine is."""
    page = registry.page_of("docker")
    if isinstance(error, EngineAway):
        return refused("engine_unreachable", headers={"Retry-After": "5"}, page=page, reason=error.message)
    return refused("engine_failed", page=page, reason=error.message)
