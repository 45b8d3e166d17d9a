"""The Dockerfile of a service's recipe, or of one that was typed for it and is not saved."""

from typing import Any

from access.problems import invalid_fields

from ..models import MicroService
from . import dockerfile, recipes


def dockerfile_of(service: MicroService, recipe: Any) -> str:
    """Return the Dockerfile of a recipe; "" where there is none. Raise 422 with everything that is wrong."""
    recipe = recipes.normalised(recipe)
    if errors := recipes.errors(recipe, has_repository=bool(service.build_url)):
        raise invalid_fields(errors)
    return dockerfile.render(recipe, secrets=service.build_secrets) if recipe else ""
