"""Fixtures of the dialogs."""

import pytest

from tests import factories

from .dialogs import Versions


@pytest.fixture
def versions(db) -> Versions:
    """Return three versions of shop; the middle one runs on four hosts."""
    made = Versions(*factories.versions(factories.service("shop", start_command="./run", stop_command="./stop"), 3))
    factories.instances(made.running, factories.hosts(4))
    return made
