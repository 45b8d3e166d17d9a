"""deployctl removes, archives and restores."""

import json

import pytest

from asset.models import Asset
from audit.models import History
from microservice.models import MicroService, MicroServiceInstance
from tests import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("removal")]


def test_forgets_instance_by_host_name(ctl):
    version = factories.versions(factories.service("shop"))[0]
    one, two = factories.instances(version, factories.hosts(2))
    refused = ctl("forget", "shop", one.host.hostname)
    assert refused.returncode == 2 and "--reason" in refused.stderr
    done = ctl("--json", "forget", "shop", one.host.hostname, "--reason", "burned")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"][0]["id"] == one.pk
    assert list(MicroServiceInstance.objects.all()) == [two]
    assert History.objects.get(action="forget").reason == "burned"
    again = ctl("forget", "shop", one.host.hostname, "--reason", "burned")
    assert again.returncode == 2 and "has no instance on" in again.stderr


def test_archives_and_restores_host(ctl):
    (row,) = factories.instances(factories.versions(factories.service("shop"))[0], factories.hosts(1))
    name = row.host.hostname
    refused = ctl("hosts", "archive", name, "--reason", "x")
    assert refused.returncode == 4 and "shop is installed on it" in refused.stderr
    assert ctl("hosts", "archive", name, "--reason", "x", "--forget").returncode == 0
    assert name not in ctl("hosts", "list").stdout and name in ctl("hosts", "list", "--archived").stdout
    assert ctl("hosts", "unarchive", "nobody").returncode == 2
    assert ctl("hosts", "unarchive", name).returncode == 0
    assert Asset.objects.filter(hostname=name).exists()


def test_deleting_a_service_needs_yes(ctl):
    factories.service("shop")
    assert ctl("services", "delete", "shop").returncode == 2 and MicroService.objects.exists()
    done = ctl("services", "delete", "shop", "--yes")
    assert done.returncode == 0 and not MicroService.objects.exists(), done.stderr


def test_import_errors_name_their_lines(ctl, tmp_path):
    file = tmp_path / "hosts.csv"
    file.write_text("hostname,ip\nweb1,10.0.0.1\nweb2,x/y\n")
    refused = ctl("hosts", "import", str(file))
    assert refused.returncode == 2 and "Line 3, ip: must be an IPv4 or IPv6 address" in refused.stderr, refused.stderr
