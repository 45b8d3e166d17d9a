"""The host check against a real sshd; its key is trusted by fingerprint only."""

import socket
import subprocess
import time

import pytest

from access.callers import Caller
from access.problems import Problem
from asset import credentials, host_keys, hosts
from asset.models import Asset
from audit.models import History
from tests import factories
from tests.lab.busy import within
from tests.lab.network import free_port
from tests.lab.sshd import Sshd

pytestmark = pytest.mark.django_db
WHO = Caller(name="ann", scopes=frozenset({"admin"}))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Sshd(tmp_path_factory.mktemp("host")) as running:
        yield running


@pytest.fixture
def host(server):
    return host_at(server.address, server.port, server)


def host_at(address, port, server, host_key="", hostname="web1", **more):
    credential = credentials.create(WHO, {"name": f"for {hostname}", "secret": server.client_key})
    return hosts.create(
        WHO,
        {
            "hostname": hostname,
            "ip": address,
            "port": port,
            "username": server.username,
            "credential_id": credential.pk,
            "base_path": str(server.root),
            "host_key": host_key,
            **more,
        },
    )


@pytest.fixture(scope="module")
def other_key(tmp_path_factory):
    path = tmp_path_factory.mktemp("other") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return host_keys.parse(path.with_suffix(".pub").read_text())


def test_checks_a_trusted_host(host, server):
    hosts.change(WHO, host, {"host_key": server.host_key})
    found = hosts.check(host, WHO)
    assert (found["reachable"], found["ready"], found["error"]) == (True, True, "")
    assert found["user"] == server.username and found["tools_missing"] == [] and found["free_bytes"] > 0
    host.refresh_from_db()
    assert host.reachable is True and host.last_contact is not None and host.last_error == "" == host.offered_key


def test_a_check_does_not_trust_a_new_key(host, server):
    found = hosts.check(host, WHO)
    assert found["offered_fingerprint"] == host_keys.fingerprint(server.host_key)
    assert not found["ready"] and not found["authenticated"] and found["error"]
    host.refresh_from_db()
    assert host.host_key == ""
    assert host_keys.parse(host.offered_key) == host_keys.parse(server.host_key)


def test_reports_a_changed_key(host, server, other_key):
    hosts.change(WHO, host, {"host_key": other_key})
    found = hosts.check(host, WHO)
    assert found["key_changed"] and not found["ready"]
    assert found["pinned_fingerprint"] == host_keys.fingerprint(other_key)
    assert found["offered_fingerprint"] == host_keys.fingerprint(server.host_key)
    host.refresh_from_db()
    assert host.host_key == other_key and host.offered_key


def test_pins_the_named_key(host, server, other_key):
    hosts.change(WHO, host, {"host_key": other_key})
    hosts.check(host, WHO)
    host.refresh_from_db()
    fingerprint = host_keys.fingerprint(server.host_key)
    hosts.trust(host, fingerprint, WHO)
    host.refresh_from_db()
    assert host.host_key == host_keys.parse(server.host_key) and host.offered_key == ""
    row = History.objects.get(action="trust")
    assert (row.before, row.after) == ({"fingerprint": host_keys.fingerprint(other_key)}, {"fingerprint": fingerprint})
    assert hosts.check(host, WHO)["ready"]


def test_refuses_to_pin_another_key(host, server, other_key):
    for named in (host_keys.fingerprint(other_key), "SHA256:", "nonsense"):
        with pytest.raises(Problem) as refused:
            hosts.trust(host, named, WHO)
        assert (refused.value.status, refused.value.code) == (409, "fingerprint_differs")
        assert host_keys.fingerprint(server.host_key) in refused.value.detail and named in refused.value.detail
    with pytest.raises(Problem) as refused:
        hosts.trust(host, " ", WHO)
    assert refused.value.status == 422
    host.refresh_from_db()
    assert host.host_key == "" and not History.objects.filter(action="trust").exists()


def test_reports_an_unreachable_host(server):
    host = host_at("127.0.0.1", free_port(), server, server.host_key)
    found = hosts.check(host, WHO)
    assert not found["reachable"] and "refused" in found["error"].lower()
    host.refresh_from_db()
    assert host.reachable is False and host.last_contact is None and host.last_error
    with pytest.raises(Problem) as refused:
        hosts.trust(host, "SHA256:x", WHO)
    assert refused.value.code == "host_unreachable"


def test_answers_within_ten_seconds_for_a_silent_host(server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = host_at("127.0.0.1", silent.getsockname()[1], server, server.host_key)
        started = time.monotonic()
        found = hosts.check(host, WHO)
        assert time.monotonic() - started < within(10)
        assert not found["ready"] and found["error"]


def test_reports_a_refused_login_without_the_secret(host, server):
    wrong = credentials.create(WHO, {"name": "wrong", "kind": "password", "secret": "canary-77"})
    hosts.change(WHO, host, {"credential_id": wrong.pk, "host_key": server.host_key})
    found = hosts.check(host, WHO)
    assert not found["authenticated"] and not found["ready"]
    host.refresh_from_db()
    assert "canary" not in str(found) + host.last_error


def test_checks_and_trusts_through_a_jump_host(server, host, tmp_path):
    hosts.change(WHO, host, {"host_key": server.host_key})
    with Sshd(tmp_path / "inner") as inner:
        behind = host_at(inner.address, inner.port, inner, hostname="inner", jump_host_id=host.pk)
        hosts.trust(behind, host_keys.fingerprint(inner.host_key), WHO)
        assert hosts.check(behind, WHO)["ready"]
    assert Asset.objects.get(pk=behind.pk).host_key == host_keys.parse(inner.host_key)


def test_tries_the_users_of_services(host, server):
    hosts.change(WHO, host, {"host_key": server.host_key})
    service = factories.service("shop", run_as="no-such-user")
    factories.instances(factories.versions(service, 1)[0], [host])
    found = hosts.check(host, WHO)
    assert found["ready"] and any("sudo -n -u no-such-user" in warning for warning in found["warnings"])
