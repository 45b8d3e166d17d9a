"""What a migration does to existing hosts."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("keys")]
BEFORE, NOW = ("asset", "0006_encoding_of_output"), ("asset", "0007_names_as_addresses")


def migrate(to: tuple[str, str]):
    executor = MigrationExecutor(connection)
    executor.migrate([to])
    return executor.loader.project_state([to]).apps.get_model("asset", "Asset").objects


@pytest.fixture
def old():
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    yield migrate(BEFORE)
    MigrationExecutor(connection).migrate(leaves)


def test_migration_keeps_addresses(old):
    addresses = ["10.0.0.1", "127.3.2.1", "::1", "2001:db8::5"]
    for number, address in enumerate(addresses):
        old.create(hostname=f"h{number}", ip=address)
    now = migrate(NOW)
    assert list(now.order_by("pk").values_list("ip", flat=True)) == addresses
    now.create(hostname="named", ip="web1.example.org")
    assert now.filter(ip="10.0.0.1").count() == now.filter(ip="web1.example.org").count() == 1
    now.filter(hostname="named").delete()
    assert list(migrate(BEFORE).order_by("pk").values_list("ip", flat=True)) == addresses
