"""The one table of texts: every code that a message can carry, with its sentence and what to do next.

One module for each layer; a code stands once. tests/messages fails where a code that the product uses is not here, and
where nothing uses one of these.
"""

from collections.abc import Mapping

from ..text import Text
from . import (
    access,
    api,
    asset,
    builds,
    callbacks,
    console,
    deployments,
    engines,
    freezes,
    integrations,
    operations,
    packages,
    recipes,
    registries,
    services,
    trains,
    values,
)


def _merged(*tables: Mapping[str, Text]) -> dict[str, Text]:
    merged: dict[str, Text] = {}
    for table in tables:
        if twice := merged.keys() & table.keys():
            raise ValueError(f"texts that stand twice: {', '.join(sorted(twice))}")
        merged |= table
    return merged


TEXTS = _merged(
    *(
        module.TEXTS
        for module in (
            access,
            api,
            asset,
            builds,
            callbacks,
            console,
            deployments,
            engines,
            freezes,
            integrations,
            operations,
            packages,
            recipes,
            registries,
            services,
            trains,
            values,
        )
    )
)
