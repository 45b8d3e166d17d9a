"""Whether images can be built: what of the settings and of the recipe it takes."""

from collections.abc import Mapping
from typing import Any

from access.problems import refused
from integrations.registry import configured_together, not_configured
from microservice.catalog import recipes
from microservice.models import MicroService


def required(recipe: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings `docker` and `registry`. Raise 409 not_configured.

    A recipe that adds nothing to its base needs no engine: its settings are {} where there are none.
    """
    docker, registry = configured_together("docker", "registry")
    if registry is None:
        raise not_configured("registry")
    if docker is None and not recipes.is_base_only(recipe):
        raise not_configured("docker")
    return docker or {}, registry


def check(service: MicroService) -> None:
    """Raise a Problem if an image of this service cannot be built."""
    if not service.recipe:
        page = f"/services/{service.name}/recipe/"
        raise refused("not_configured.recipe", page=page, service=service.name)
    required(service.recipe)
