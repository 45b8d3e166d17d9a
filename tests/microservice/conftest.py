"""What the tests of services and deployments share."""

from typing import Any

import pytest

from . import fleet


@pytest.fixture
def shop(db: Any) -> fleet.Shop:
    service = fleet.service()
    versions = fleet.versions(service, 4)
    return fleet.Shop(service, versions, fleet.instances(versions[1], fleet.hosts(3)))
