"""Build, push, pull, inspect and remove images at an engine.

Their errors come inside an answer of status 200, whose end is no success: a build has succeeded by `aux.ID`, a push by
`aux.Digest`. The connection is the work: when it closes, the engine stops.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from access.masking import Mask
from access.secrets import Secret, reveal
from messages import Message

from . import build_secrets, sign_in
from .engine import SILENCE, Engine, OnLine
from .errors import EngineAway, EngineFailed, EngineRefused, StepFailed, masked
from .target import Interrupt

NOT_FOUND, IN_USE = 404, 409


@dataclass(frozen=True)
class BuildOptions:
    """How an image is built. `network`: of its steps; "" is the engine's own. `memory`: bytes, 0 without a limit."""

    dockerfile: str = "Dockerfile"
    tags: tuple[str, ...] = ()
    network: str = ""
    pull: bool = False  # look for a newer base image
    cached: bool = True
    platform: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    memory: int = 0

    def query(self) -> str:
        values: list[tuple[str, str]] = [("dockerfile", self.dockerfile), ("rm", "1"), ("forcerm", "1")]
        values += [("t", tag) for tag in self.tags]
        values += [("pull", "1")] if self.pull else []
        values += [] if self.cached else [("nocache", "1")]
        values += [("memory", str(self.memory)), ("memswap", str(self.memory))] if self.memory else []
        values += [(name, text) for name, text in (("networkmode", self.network), ("platform", self.platform)) if text]
        values += [("labels", json.dumps(dict(self.labels)))] if self.labels else []
        return urlencode(values)


def build(
    engine: Engine,
    context: bytes | Iterable[bytes],
    options: BuildOptions,
    *,
    auth: Secret | None = None,
    secrets: Mapping[str, Secret] | None = None,
    on_line: OnLine = lambda line: None,
    silence: float = SILENCE,
    interrupt: Interrupt | None = None,
) -> str:
    """Build an image of a context (a tar, also compressed) and return its id, sha256:….

    `auth`: x_registry_config of `images.credentials`, for base images. `secrets`: what steps mount, by name; with some
    BuildKit builds it, whose lines come as the classic builder's.
    Raise StepFailed `image_build_failed`, EngineAway, EngineFailed where the engine cannot keep secrets, GivenUp.
    """
    headers = {"Content-Type": "application/x-tar", **sign_in.header(sign_in.CONFIG, auth)}
    more = {"headers": headers, "silence": silence, "interrupt": interrupt}
    with build_secrets.given(engine, options.network, secrets or {}, auth) as given:
        call = "POST", f"/build?{options.query()}{given.query}", context
        mask = Mask([*sign_in.passwords(auth), *map(reveal, (secrets or {}).values())])
        found = _followed(engine, call, more, "image_build_failed", mask, given.reader(on_line), "ID")
    if not found:
        raise broke_off(engine)
    return found


def push(
    engine: Engine,
    repository: str,
    tag: str,
    *,
    auth: Secret | None = None,
    on_line: OnLine = lambda line: None,
    silence: float = SILENCE,
    interrupt: Interrupt | None = None,
) -> str:
    """Push `repository:tag` and return the digest that the registry has given it, sha256:….

    `repository` begins with the registry's host. `auth`: x_registry_auth of `images.credentials`.
    Raise StepFailed `image_push_failed`, EngineAway, GivenUp.
    """
    headers = sign_in.header(sign_in.AUTH, auth)
    call = "POST", f"/images/{quote(repository)}/push?{urlencode({'tag': tag})}", None
    more = {"headers": headers, "silence": silence, "interrupt": interrupt}
    found = _followed(engine, call, more, "image_push_failed", sign_in.mask(auth), on_line, "Digest")
    if not found:
        raise broke_off(engine)
    return found


def pull(engine: Engine, reference: str, *, on_line: OnLine = lambda line: None, **more: Any) -> dict[str, Any]:
    """Have the engine pull a reference with its tag or digest; return what `inspect` does. `more`: see `pulling`."""
    for line in pulling(engine, reference, **more):
        on_line(line)
    found = inspect(engine, reference, more.get("interrupt"))
    if found is None:
        raise broke_off(engine)
    return found


def pulling(
    engine: Engine,
    reference: str,
    *,
    auth: Secret | None = None,
    platform: str = "",
    silence: float = SILENCE,
    interrupt: Interrupt | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield what the engine says while it pulls. Closing the iterator ends the pull; what was loaded stays.

    Raise StepFailed `image_pull_failed`, EngineAway, GivenUp.
    """
    query = {"fromImage": reference, **({"platform": platform} if platform else {})}
    headers = sign_in.header(sign_in.AUTH, auth)
    call = "POST", f"/images/create?{urlencode(query)}", None
    more = {"headers": headers, "silence": silence, "interrupt": interrupt}
    return _lines(engine, call, more, "image_pull_failed", sign_in.mask(auth))


def inspect(engine: Engine, reference: str, interrupt: Interrupt | None = None) -> dict[str, Any] | None:
    """Return what the engine knows of an image that it has; None where it has none."""
    try:
        found = engine.get("GET", f"/images/{quote(reference)}/json", interrupt=interrupt)
    except EngineRefused as error:
        if error.status == NOT_FOUND:
            return None
        raise
    return found if isinstance(found, dict) else None


def tag(engine: Engine, image: str, repository: str, name: str, interrupt: Interrupt | None = None) -> None:
    """Give an image of the engine the name `repository:name`."""
    query = urlencode({"repo": repository, "tag": name})
    engine.get("POST", f"/images/{quote(image)}/tag?{query}", interrupt=interrupt)


def remove(engine: Engine, reference: str, interrupt: Interrupt | None = None) -> bool:
    """Remove a name of an image, and the image where it was the last; return whether there was one to remove.

    An image that a container uses stays.
    """
    try:
        engine.get("DELETE", f"/images/{quote(reference)}", interrupt=interrupt, seconds=60.0)
    except EngineRefused as error:
        if error.status in (NOT_FOUND, IN_USE):
            return False
        raise
    return True


def broke_off(engine: Engine) -> EngineAway:
    """Return the error of an answer that ended without what proves its success."""
    return EngineAway(Message("engine_away.broke_off", {"address": engine.target.address}))


def _followed(
    engine: Engine,
    call: tuple[str, str, Any],
    more: Mapping[str, Any],
    failed: str,
    mask: Mask,
    on_line: OnLine,
    proof: str,
) -> str:
    """Read a stream to its end and return what proves its success, "" without. Raise as `_lines` does."""
    proven = ""
    for line in _lines(engine, call, more, failed, mask):
        if isinstance(aux := line.get("aux"), dict) and isinstance(aux.get(proof), str):
            proven = aux[proof]
        on_line(line)
    return proven


def _lines(
    engine: Engine, call: tuple[str, str, Any], more: Mapping[str, Any], failed: str, mask: Mask
) -> Iterator[dict[str, Any]]:
    """Yield the lines of a stream. Raise StepFailed with the code `failed` where one of them is an error."""
    try:
        for line in engine.lines(*call, **more):
            if "error" in line or "errorDetail" in line:
                detail = line.get("errorDetail")
                words = (detail.get("message") if isinstance(detail, dict) else detail) or line.get("error") or ""
                raise StepFailed(failed, str(words))
            yield line
    except EngineRefused as error:  # before the answer had begun: a Dockerfile or a reference that it does not take
        raise masked(StepFailed(failed, error.words), mask) from None
    except EngineFailed as error:
        raise masked(error, mask) from None
