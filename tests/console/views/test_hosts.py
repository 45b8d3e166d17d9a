"""Hosts and credentials."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from asset.models import Asset, Credential
from tests import factories

pytestmark = pytest.mark.django_db
HOST = {"hostname": "web-1", "ip": "10.1.2.3", "port": "22", "username": "deploy", "base_path": "/srv/services"}


def test_no_hosts_yet(admin, operator):
    assert "Add a host" in admin.get("/hosts/").content.decode()
    assert "Add a host" not in operator.get("/hosts/").content.decode()


def test_adds_and_changes_host(admin):
    answer = admin.post("/hosts/new/", HOST)
    host = Asset.objects.get()
    assert answer["Location"] == f"/hosts/{host.pk}/" and host.created_by == "ada"
    assert "not trusted yet" in admin.get(answer["Location"]).content.decode()
    admin.post(f"/hosts/{host.pk}/edit/", HOST | {"username": "other", "sudo": "on"})
    host.refresh_from_db()
    assert (host.username, host.sudo, host.package_port, host.package_address) == ("other", True, None, None)
    admin.post(f"/hosts/{host.pk}/edit/", HOST | {"package_port": "8123", "package_address": "192.168.0.1"})
    assert "192.168.0.1:8123" in admin.get(answer["Location"]).content.decode()


@pytest.mark.found("keys")
def test_untrusted_host_has_no_changed_key(admin):
    """What it offered is kept, to be compared; nothing was pinned that could have changed."""
    admin.post("/hosts/new/", HOST)
    new = Asset.objects.get()
    Asset.objects.filter(pk=new.pk).update(host_key="", offered_key="ssh-ed25519 AAAA")
    page = admin.get("/hosts/").content.decode()
    assert "not trusted yet" in page and "changed" not in page.partition("<tbody")[2].partition("</tbody")[0]
    assert f"/hosts/{new.pk}/" not in admin.get("/hosts/?state=changed").content.decode()
    Asset.objects.filter(pk=new.pk).update(host_key="ssh-ed25519 BBBB")
    assert f"/hosts/{new.pk}/" in admin.get("/hosts/?state=changed").content.decode()


@pytest.mark.found("ssh")
def test_allows_legacy_algorithms(admin):
    admin.post("/hosts/new/", HOST)
    host = Asset.objects.get()
    page = admin.get(f"/hosts/{host.pk}/edit/").content.decode()
    assert not host.legacy_algorithms and "Allow legacy SSH algorithms" in page
    assert "legacy algorithms allowed" not in admin.get(f"/hosts/{host.pk}/").content.decode()
    admin.post(f"/hosts/{host.pk}/edit/", HOST | {"legacy_algorithms": "on"})
    host.refresh_from_db()
    assert host.legacy_algorithms
    assert "legacy algorithms allowed" in admin.get(f"/hosts/{host.pk}/").content.decode()
    assert re.search(r'name="legacy_algorithms"[^>]*checked', admin.get(f"/hosts/{host.pk}/edit/").content.decode())
    admin.post(f"/hosts/{host.pk}/edit/", HOST)
    host.refresh_from_db()
    assert not host.legacy_algorithms


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ip", "300.1.1.1"),
        ("hostname", "-x"),
        ("port", "0"),
        ("package_port", "80"),
        ("package_address", "gate"),
        ("username", "-oProxyCommand=x"),
        ("base_path", "relative"),
        ("base_path", "/a/../b"),
        ("host_key", "ssh-rsa nonsense"),
        ("credential_id", "77"),
    ],
)
def test_rejects_invalid_host(admin, field, value):
    answer = admin.post("/hosts/new/", HOST | {"description": "kept"} | {field: value})
    page = answer.content.decode()
    assert answer.status_code == 422 and 'aria-invalid="true"' in page and 'value="kept"' in page
    assert not Asset.objects.exists()


def test_hosts_need_admin(operator):
    (host,) = factories.hosts(1)
    assert operator.post("/hosts/new/", HOST).status_code == 403
    assert operator.post(f"/hosts/{host.pk}/edit/", HOST).status_code == 403
    assert operator.post(f"/hosts/{host.pk}/delete/").status_code == 403
    assert operator.post(f"/hosts/{host.pk}/trust/", {"fingerprint": "SHA256:x"}).status_code == 403
    assert operator.post("/credentials/", {"name": "x", "kind": "password", "secret": "y"}).status_code == 403
    assert Asset.objects.count() == 1 and not Credential.objects.exists()


def test_shows_instances_of_host(admin):
    (version,) = factories.versions(factories.service("shop"), 1)
    (host,) = factories.hosts(1)
    factories.instances(version, [host])
    page = admin.get(f"/hosts/{host.pk}/").content.decode()
    assert "/services/shop/instances/" in page and "1.0" in page
    assert "1 service" in admin.get("/hosts/").content.decode()
    assert admin.get("/hosts/999999/").status_code == 404


def test_keeps_host_in_use(admin):
    (version,) = factories.versions(factories.service("shop"), 1)
    (host,) = factories.hosts(1)
    factories.instances(version, [host])
    answer = admin.post(f"/hosts/{host.pk}/delete/", follow=True)
    assert "cannot be deleted" in answer.content.decode() and Asset.objects.exists()


def test_check_of_unreachable_host(admin):
    from tests.lab.network import free_port

    host = Asset.objects.create(
        hostname="closed",
        ip="127.0.0.1",
        port=free_port(),
        credential=Credential.objects.create(name="pw", kind="password", secret="x"),
    )
    answer = admin.post(f"/hosts/{host.pk}/check/")
    assert answer.status_code == 200 and "not reachable" in answer.content.decode()


def test_check_of_ready_host(admin, sshd):
    credential = Credential.objects.create(name="key", kind="key", secret=sshd.client_key)
    host = Asset.objects.create(
        hostname="lab",
        ip=sshd.address,
        port=sshd.port,
        username=sshd.username,
        credential=credential,
        base_path=str(sshd.root),
        host_key=" ".join(sshd.host_key.split()[:2]),
    )
    page = admin.post(f"/hosts/{host.pk}/check/").content.decode()
    for word in ("ready for deployments", "writable", "Free disk", sshd.username):
        assert word in page


def test_trusts_key_by_fingerprint(admin, sshd):
    from asset import host_keys

    host = Asset.objects.create(hostname="lab", ip=sshd.address, port=sshd.port)
    wrong = admin.post(f"/hosts/{host.pk}/trust/", {"fingerprint": "SHA256:" + "A" * 43})
    page = admin.get(wrong["Location"]).content.decode()
    assert 'id="trust-fingerprint-wrong">is not the fingerprint of the key' in page
    assert "A" * 43 in page, "what was pasted stays"
    host.refresh_from_db()
    assert host.host_key == ""
    offered = host_keys.fingerprint(" ".join(sshd.host_key.split()[:2]))
    assert admin.post(f"/hosts/{host.pk}/trust/", {"fingerprint": offered}).status_code == 302
    host.refresh_from_db()
    assert host_keys.fingerprint(host.host_key) == offered
    assert offered in admin.get(f"/hosts/{host.pk}/").content.decode()


def test_host_list_query_count(admin, cost):
    factories.hosts(60)  # more than a page, so they are counted
    small = cost(admin, "/hosts/")
    factories.hosts(100)
    assert cost(admin, "/hosts/") == small


def test_secret_is_never_shown(admin):
    secret = "correct-horse-battery"
    admin.post("/credentials/", {"name": "pw", "kind": "password", "secret": secret})
    assert Credential.objects.get().secret.reveal() == secret
    wrong = admin.post("/credentials/", {"name": "pw", "kind": "password", "secret": secret})
    assert wrong.status_code == 422
    pages = admin.get("/credentials/").content + admin.get("/history/").content + admin.get("/hosts/new/").content
    assert secret.encode() not in pages + wrong.content


def test_keeps_credential_in_use(admin):
    credential = Credential.objects.create(name="pw", kind="password", secret="x")
    Asset.objects.create(hostname="a", ip="10.0.0.1", credential=credential)
    admin.post(f"/credentials/{credential.pk}/delete/")
    assert Credential.objects.exists()
    Asset.objects.all().delete()
    admin.post(f"/credentials/{credential.pk}/delete/")
    assert not Credential.objects.exists()


def test_shows_since_when_unreachable(admin):
    host = factories.running().operations.get().host
    since, seen = timezone.now() - timedelta(hours=2), timezone.now() - timedelta(days=1)
    Asset.objects.filter(pk=host.pk).update(reachable=False, reachable_since=since, last_contact=seen)
    for address in ("/hosts/", f"/hosts/{host.pk}/", "/services/shop/instances/"):
        page = admin.get(address).content.decode()
        assert f"since {since.strftime('%Y-%m-%d %H:%M:%S')} UTC" in re.sub("<[^>]*>", "", page), address
        assert "last seen 1 d ago" in re.sub("<[^>]*>", "", page), address
