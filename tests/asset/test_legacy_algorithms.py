"""A host's row says whether old SSH algorithms are offered to it: by API, import, check, and at each hop."""

import pytest

from access.callers import Caller
from asset import credentials, host_keys, hosts, imports
from asset.models import Asset
from audit.models import History
from tests.lab.sshd import Sshd

pytestmark = [pytest.mark.django_db, pytest.mark.found("ssh")]
WHO = Caller(name="ann", scopes=frozenset({"admin"}))


@pytest.fixture
def old(tmp_path):
    with Sshd(tmp_path / "old", extra="MACs hmac-sha1\nCiphers aes256-ctr") as server:
        yield server


def row(server, **more) -> Asset:
    name = more.get("hostname", "old")
    key = credentials.create(WHO, {"name": f"key of {name}", "secret": server.client_key})
    fields = {
        "hostname": name,
        "ip": server.address,
        "port": server.port,
        "username": server.username,
        "credential_id": key.pk,
        "base_path": str(server.root),
    }
    return hosts.create(WHO, fields | more)


def test_recommends_legacy_algorithms_and_uses_them(old):
    host = row(old)
    found = hosts.check(host, WHO)
    assert (found["legacy_needed"], found["ready"], found["key_changed"]) == (True, False, False)
    assert "hmac-sha1" in found["error"] and "legacy_algorithms" in found["next_step"]
    host.refresh_from_db()
    assert "no MAC" in host.last_error and not host.offered_key
    host = hosts.change(WHO, host, {"legacy_algorithms": True})
    assert History.objects.filter(action="change").get().after == {"legacy_algorithms": True}
    hosts.trust(host, host_keys.fingerprint(old.host_key), WHO)
    found = hosts.check(host, WHO)
    assert (
        found["ready"] and found["legacy_needed"] and "weak legacy algorithms: hmac-sha1" in " ".join(found["warnings"])
    )


def test_jump_hosts_have_their_own_setting(old, tmp_path):
    with Sshd(tmp_path / "inner") as inner:
        jump = row(old, hostname="jump", host_key=old.host_key)
        behind = row(inner, hostname="behind", host_key=inner.host_key, jump_host_id=jump.pk, legacy_algorithms=True)
        found = hosts.check(behind, WHO)
        assert not found["ready"] and f"{old.address}:{old.port}" in found["error"]
        assert found["legacy_needed"] is None, "another host needs it"
        hosts.change(WHO, jump, {"legacy_algorithms": True})
        found = hosts.check(Asset.objects.get(pk=behind.pk), WHO)
        assert found["ready"] and found["legacy_needed"] is False


def test_imports_legacy_algorithms_from_csv():
    text = "hostname,ip,legacy_algorithms\na,10.0.0.1,yes\nb,10.0.0.2,\nc,10.0.0.3,false\n"
    imports.import_many(WHO, imports.from_csv(text))
    assert list(Asset.objects.order_by("hostname").values_list("legacy_algorithms", flat=True)) == [True, False, False]
