"""What the tests of services and deployments share."""

import pytest

from . import fleet


@pytest.fixture
def shop():
    """A service with four versions, and three hosts that run the second one."""
    service = fleet.service()
    one, two, three, four = fleet.versions(service, 4)
    return service, [one, two, three, four], fleet.instances(two, fleet.hosts(3))
