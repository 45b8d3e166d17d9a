"""Names, ids, commands and errors have a button that copies them, on each page where they are looked at."""

import html
import re

import pytest

from asset.models import Asset
from builds.models import Build
from microservice.models import Operation
from microservice.status import OperationStatus
from tests import factories

pytestmark = pytest.mark.django_db
KEY = "SHA256:" + "k" * 43


def copied(client, address: str) -> set[str]:
    """Return the texts that the page's buttons copy."""
    answer = client.get(address)
    assert answer.status_code == 200
    return set(map(html.unescape, re.findall(r'data-copies="([^"]*)"', answer.content.decode())))


@pytest.fixture
def failed() -> Operation:
    deployment = factories.running(1, "shop")
    deployment.operations.update(status=OperationStatus.UNDONE, error="the check did not pass", error_step="check")
    return deployment.operations.select_related("host", "deployment__dest_version__microservice").get()


def test_deployment(admin, failed):
    number = failed.deployment_id
    shown = copied(admin, f"/deployments/{number}/?open={failed.pk}")
    assert {"shop", str(number), "2.0", failed.host.hostname, "the check did not pass"} <= shown
    assert any(text.startswith("check\n") for text in shown), "the cause, with its step"


def test_operation(admin, failed):
    shown = copied(admin, f"/operations/{failed.pk}/")
    assert {failed.host.hostname, str(failed.pk), "2.0", "the check did not pass"} <= shown
    assert any(text.startswith("ssh ") for text in shown)


def test_log_and_links(admin, failed):
    assert failed.host.hostname in copied(admin, f"/operations/{failed.pk}/log/")
    for address in (f"deployments/{failed.deployment_id}", f"operations/{failed.pk}", f"operations/{failed.pk}/log"):
        assert b"data-copies-address" in admin.get(f"/{address}/").content, address


def test_host(admin, failed):
    Asset.objects.update(last_error="no route to host", host_key="ssh-ed25519 AAAA")
    host = Asset.objects.get()
    shown = copied(admin, f"/hosts/{host.pk}/")
    assert {host.hostname, host.ip, host.base_path} <= shown


def test_service_version_and_build(admin, failed):
    version = failed.deployment.dest_version
    Build.objects.create(
        version=version, origin="git", status=version.status, detail="make: *** [all] Error 2", commit="c0ffee" * 6
    )
    assert "shop" in copied(admin, "/services/shop/versions/")
    shown = copied(admin, f"/services/shop/versions/{version.pk}/")
    assert {"2.0", "master", version.sha256, "c0ffee" * 6, "make: *** [all] Error 2"} <= shown
