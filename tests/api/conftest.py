"""What the tests of the API share: an empty package store for each, a service, and a version without a package."""

import pytest

from tests import factories
from tests.api.packages import pending


@pytest.fixture(autouse=True)
def own_store(store):
    return store


@pytest.fixture
def shop(db):
    """Return a service with four versions, of which three hosts run the second."""
    service = factories.service()
    versions = factories.versions(service, 4)
    return factories.Shop(service, versions, factories.instances(versions[1], factories.hosts(3), port=8000))


@pytest.fixture
def version(db):
    """Return a version that has no package yet."""
    return pending()
