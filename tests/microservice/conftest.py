"""Fixtures for tests of services and deployments."""

from typing import Any

import pytest

from tests import factories


@pytest.fixture
def shop(db: Any) -> factories.Shop:
    service = factories.service()
    versions = factories.versions(service, 4)
    return factories.Shop(service, versions, factories.instances(versions[1], factories.hosts(3)))
