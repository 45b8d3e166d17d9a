"""Fixtures of the dialogs, and of hosts with labels."""

import pytest

from asset.models import Asset, HostGroup
from tests import factories

from .dialogs import Versions


@pytest.fixture
def versions(db) -> Versions:
    """Return three versions of shop; the middle one runs on four hosts."""
    made = Versions(*factories.versions(factories.service("shop", start_command="./run", stop_command="./stop"), 3))
    factories.instances(made.running, factories.hosts(4))
    return made


@pytest.fixture
def labelled(versions):
    """Give the four hosts labels: two are in the EU, one of them a canary; one is in the US; one has none."""
    eu, canary, us, _ = hosts = list(Asset.objects.order_by("pk"))
    eu.labels, canary.labels, us.labels = {"zone": "eu"}, {"zone": "eu", "canary": "yes, first"}, {"zone": "us"}
    Asset.objects.bulk_update(hosts, ["labels"])
    HostGroup.objects.create(name="europe & co", labels={"zone": "eu"})
    return hosts
