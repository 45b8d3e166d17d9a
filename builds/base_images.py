"""The digest that the base of a recipe stands for now. The engine asks its registry: it is the one that will pull."""

from typing import Any

from integrations.docker import sign_in
from integrations.docker.engine import Engine
from integrations.docker.errors import EngineRefused
from integrations.docker.target import Interrupt
from integrations.images import reference
from integrations.images.credentials import credentials_of
from integrations.images.reference import Reference
from microservice.catalog.recipes import SCRATCH

from .providers import BuildRefused

SECONDS = 60.0  # a registry far away, and a token server before it


def pinned(engine: Engine, base: str, registry: dict[str, Any], interrupt: Interrupt) -> str:
    """Return the base with its digest. Raise BuildRefused where its registry does not have it, or EngineFailed."""
    if base == SCRATCH:
        return base
    wanted = reference.parse(base)
    return wanted.pinned if wanted.digest else wanted.with_digest(_digest(engine, wanted, registry, interrupt)).pinned


def _digest(engine: Engine, wanted: Reference, registry: dict[str, Any], interrupt: Interrupt) -> str:
    known = credentials_of(registry, wanted)
    auth = known.x_registry_auth if known else None
    headers = sign_in.header(sign_in.AUTH, auth)
    path = f"/distribution/{wanted}/json"
    try:
        found = engine.get("GET", path, headers=headers, seconds=SECONDS, interrupt=interrupt)
        digest = str(found["Descriptor"]["digest"])
        return reference.parse(f"{wanted.host}/{wanted.name}@{digest}").digest
    except EngineRefused as error:
        words = sign_in.mask(auth).text(error.words)
        raise BuildRefused("base_not_found", base=str(wanted), words=words) from error
    except (TypeError, KeyError, reference.BadReference) as error:
        raise BuildRefused("base_not_found", base=str(wanted), words="no digest") from error
