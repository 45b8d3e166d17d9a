"""Removing, archiving and changing objects on pages."""

import re

import pytest

from asset.models import Asset
from audit.models import History
from microservice.models import MicroServiceInstance
from microservice.status import InstanceStatus
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.found("removal")]


@pytest.fixture
def placed():
    service = factories.service()
    return factories.instances(factories.versions(service)[0], factories.hosts(2))


def change(client, placed, **more):
    chosen = [row.pk for row in placed]
    return client.post("/services/shop/instances/change/", {"instance": chosen, **more}, follow=True)


def test_forgets_instances(operator, placed):
    page = operator.get("/services/shop/instances/").content.decode()
    assert 'id="sure-forget"' in page and "of these instances are deleted" in page
    assert "must be 1 to 500 printable characters" in change(operator, placed, what="forget").content.decode()
    assert MicroServiceInstance.objects.count() == 2
    page = change(operator, placed, what="forget", reason="it burned").content.decode()
    assert "2 instances were forgotten" in page
    assert not MicroServiceInstance.objects.exists()
    assert set(History.objects.filter(action="forget").values_list("reason", flat=True)) == {"it burned"}


def test_viewer_cannot_forget(viewer, placed):
    assert change(viewer, placed, what="forget", reason="x").status_code == 403
    assert MicroServiceInstance.objects.count() == 2


def test_shows_given_up_delete(operator, placed):
    MicroServiceInstance.objects.filter(pk=placed[0].pk).update(status=InstanceStatus.DELETE_FAILED, delete_attempts=12)
    page = operator.get("/services/shop/instances/").content.decode()
    assert "Tried 12 times." in page and "no automatic retry" in page


def test_archives_and_unarchives_host(admin, placed):
    host = placed[0].host
    path = f"/hosts/{host.pk}/"
    page = admin.get(path).content.decode()
    assert 'id="sure-archive"' in page and "1 service is installed on this host" in page
    said = admin.post(f"{path}archive/", {"reason": "gone"}, follow=True).content.decode()
    assert "it has instances of shop" in said and Asset.objects.filter(pk=host.pk).exists()
    said = admin.post(f"{path}archive/", {"reason": "gone", "forget": "on"}, follow=True).content.decode()
    assert "was archived" in said and "Archived by ada" in said and "Check now" not in said
    assert not Asset.objects.filter(pk=host.pk).exists()
    none = admin.get("/hosts/", {"q": host.hostname}).content.decode()
    assert "No matching hosts" in none
    link = re.search(r'href="(/hosts/\?state=archived[^"]*)"', none)[1].replace("&amp;", "&")
    assert path in admin.get(link).content.decode()
    assert "was unarchived" in admin.post(f"{path}unarchive/", follow=True).content.decode()
    assert Asset.objects.filter(pk=host.pk).exists()


def test_edits_instance(operator, placed):
    row = placed[0]
    path = f"/services/shop/instances/{row.pk}/edit/"
    assert path in operator.get("/services/shop/instances/").content.decode()
    page = operator.get(path).content.decode()
    assert "take effect with the next operation" in page
    values = {"port": 8081, "tag": "blue", "weight": 5, "description": "hand made", "is_maintain": "on"}
    said = operator.post(path, values, follow=True).content.decode()
    assert "the next operation uses the new ones" in said
    row.refresh_from_db()
    assert (row.port, row.tag, row.weight, row.description, row.is_maintain) == (8081, "blue", 5, "hand made", True)
    listed = operator.get("/services/shop/instances/").content.decode()
    assert "8081" in listed and "blue" in listed
    assert operator.post(path, {**values, "port": 70000}).status_code == 422
    MicroServiceInstance.objects.filter(pk=row.pk).update(locked=True)
    assert "is locked" in operator.post(path, {**values, "port": 1}).content.decode()


def test_unchanged_instance(operator, placed):
    row = placed[0]
    MicroServiceInstance.objects.filter(pk=row.pk).update(tag=" x ", description="  two  ", port=1)
    values = {"port": 1, "tag": " x ", "weight": 100, "description": "  two  "}
    operator.post(f"/services/shop/instances/{row.pk}/edit/", values)
    assert not History.objects.filter(action="change").exists()


def posted(host, **more):
    """Return the host's form as a browser sends it back."""
    fields = {
        "hostname": host.hostname,
        "ip": host.ip,
        "port": host.port,
        "username": host.username,
        "credential_id": "",
        "base_path": host.base_path,
        "jump_host_id": "",
        "package_port": "",
        "package_address": "",
        "host_key": "",
        "description": "",
        "labels": "\r\n".join(f"{name}={text}" for name, text in host.labels.items()),
    }
    return {**fields, **more}


def test_changes_labels(admin):
    host = factories.hosts(1)[0]
    path = f"/hosts/{host.pk}/"
    admin.post(f"{path}edit/", posted(host, labels="zone=eu\r\nrack=a=b \r\n\r\nempty="))
    host.refresh_from_db()
    assert host.labels == {"zone": "eu", "rack": "a=b ", "empty": ""}
    for page in (path, "/hosts/"):
        assert "zone=eu" in admin.get(page).content.decode()
    for wrong in ("zone", "-x=1", "a=1\r\na=2", f"a={'x' * 256}"):
        answer = admin.post(f"{path}edit/", posted(host, labels=wrong))
        assert answer.status_code == 422 and 'id="id_labels-wrong"' in answer.content.decode()


@pytest.mark.parametrize("text", ["", " both ", "a=b", "x\u2028y", "\u00a0", "'\"<&>"])
def test_unchanged_labels(admin, text):
    host = factories.hosts(1)[0]
    Asset.objects.filter(pk=host.pk).update(labels={"first": text, "second": "z"})
    host.refresh_from_db()
    admin.post(f"/hosts/{host.pk}/edit/", posted(host))
    host.refresh_from_db()
    assert host.labels == {"first": text, "second": "z"}
    assert not History.objects.filter(action="change").exists()
