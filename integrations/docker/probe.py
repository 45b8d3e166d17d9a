"""The test of an engine: its version, its network for builds, and whether it can sign in at the registry itself."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from integrations.images import credentials
from integrations.images.reference import host_of
from messages import Message

from . import engine as engines
from . import sign_in
from .engine import Engine
from .errors import EngineFailed, EngineRefused, masked

SIGN_IN = 6.0  # seconds: the engine asks the registry meanwhile
NOT_FOUND = 404


def steps(part: dict[str, Any], registry: dict[str, Any] | None) -> Iterator[tuple[str, Message]]:
    """Yield (step, what it found). Raise EngineFailed, whose `step` failed."""
    engine = engines.connect(part)
    shown = {"version": engine.version, "api": engine.api, "platform": engine.platform}
    yield "connect", Message("probe.engine", shown)
    if part["network"] not in ("", "none"):
        _network(engine, part["network"])
        yield "network", Message("probe.engine_network", {"network": part["network"]})
    if registry is not None and registry["user"]:
        host = host_of(registry["url"])
        _sign_in(engine, registry, host)
        yield "registry", Message("probe.engine_signed_in", {"host": host})


def _network(engine: Engine, name: str) -> None:
    try:
        engine.get("GET", f"/networks/{quote(name)}")
    except EngineFailed as error:
        if isinstance(error, EngineRefused) and error.status == NOT_FOUND:
            error = EngineFailed(Message("probe.engine_network_missing", {"network": name}))
        error.step = "network"
        raise error from None


def _sign_in(engine: Engine, registry: dict[str, Any], host: str) -> None:
    given = credentials.credentials_of(registry, f"{host}/any")
    header = given.x_registry_auth if given else None
    try:
        engine.get("POST", "/auth", sign_in.said(header), seconds=SIGN_IN)
    except EngineFailed as failed:
        error = failed
        if isinstance(error, EngineRefused):
            code = "probe.engine_trust" if "x509" in error.words else "probe.engine_sign_in"
            error = EngineFailed(Message(code, {"host": host, "reason": error.words}))
        error.step = "registry"
        raise masked(error, sign_in.mask(header)) from None
