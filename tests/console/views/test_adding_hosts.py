"""A host is added by one form and one click: its key is pinned and it is checked at once."""

import re
import subprocess
import time

import pytest

from access.callers import Caller
from asset import host_check, host_keys
from asset import hosts as host_changes
from asset.models import Asset, Credential
from audit.models import History
from tests.lab.busy import within
from tests.lab.network import free_port
from tests.lab.sshd import Sshd

pytestmark = [pytest.mark.django_db, pytest.mark.found("keys")]
WHO = Caller(name="ann", scopes=frozenset({"admin"}))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Sshd(tmp_path_factory.mktemp("host")) as running:
        yield running


@pytest.fixture
def form(server):
    """Return the fields of the form, all but the key."""
    credential = Credential.objects.create(name="key", kind="key", secret=server.client_key)
    return {
        "hostname": "lab",
        "ip": server.address,
        "port": str(server.port),
        "username": server.username,
        "base_path": str(server.root),
        "credential_id": credential.name,
    }


def printed(server, tmp_path) -> str:
    """Return what ssh-keygen -lf prints for the host's key."""
    path = tmp_path / "host.pub"
    path.write_text(server.host_key)
    return subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True).stdout


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


@pytest.mark.parametrize("form_of", ["line", "fingerprint", "known_hosts", "key"])
def test_adds_a_ready_host_with_one_form(admin, server, form, tmp_path, form_of):
    line = printed(server, tmp_path)
    key = " ".join(server.host_key.split()[:2])
    given = {
        "line": line,
        "fingerprint": line.split()[1],
        "known_hosts": f"lab,other {key}\r\n",
        "key": f"{key} root@lab",
    }
    answer = admin.post("/hosts/new/", form | {"host_key": given[form_of]})
    host = Asset.objects.get()
    assert answer.status_code == 302 and answer["Location"] == f"/hosts/{host.pk}/"
    assert (host_keys.parse(server.host_key), True, "", "") == (
        host.host_key,
        host.reachable,
        host.last_error,
        host.offered_key,
    )
    page = text_of(admin.get(answer["Location"]).content.decode())
    assert "Check results" in page and "ready for deployments" in page and "lab was added." in page
    assert History.objects.filter(action="trust").exists() is (form_of in ("line", "fingerprint"))
    again = text_of(admin.get(answer["Location"]).content.decode())
    assert "Check results" not in again and "reachable" in again


def test_trusts_offered_key(admin, server, form, tmp_path):
    answer = admin.post("/hosts/new/", form)
    page = text_of(admin.get(answer["Location"]).content.decode())
    assert host_keys.fingerprint(server.host_key) in page and "Check results" in page
    host = Asset.objects.get()
    assert host.last_error and host.offered_key and not host.host_key
    answer = admin.post(f"/hosts/{host.pk}/trust/", {"fingerprint": printed(server, tmp_path)})
    assert answer["Location"] == f"/hosts/{host.pk}/"
    page = text_of(admin.get(answer["Location"]).content.decode())
    assert "ready for deployments" in page
    for old in ("no host key pinned", "not trusted yet", "offers", "not reachable", "not ready"):
        assert old not in page
    host.refresh_from_db()
    assert (host.reachable, host.last_error, host.offered_key) == (True, "", "")


def test_trusts_offered_key_in_api(server, form):
    key = Credential.objects.get(name=form["credential_id"])
    host = host_changes.create(WHO, form | {"port": server.port, "credential_id": key.pk})
    host_check.check(host, WHO)
    Asset.objects.filter(pk=host.pk).update(reachable=False, last_error="old")
    host = host_check.trust(host, host_keys.fingerprint(server.host_key), WHO)
    assert (host.reachable, host.reachable_since, host.last_error, host.offered_key) == (None, None, "", "")


def test_rejects_wrong_fingerprint(admin, server, form):
    answer = admin.post("/hosts/new/", form | {"host_key": "SHA256:" + "A" * 43})
    host = Asset.objects.get()
    page = text_of(admin.get(answer["Location"]).content.decode())
    assert not host.host_key and "is not the fingerprint of the key that the host offers" in page
    assert host_keys.fingerprint(server.host_key) in page and "Trust key" in page


def test_finds_fingerprint_of_any_key_type(admin, form, tmp_path, server):
    """A host offers one of its keys; the check requests the type that was named."""
    for kind in ("rsa", "ecdsa"):
        path = tmp_path / kind
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
    more = "".join(f"HostKey {tmp_path / kind}\n" for kind in ("rsa", "ecdsa"))
    with Sshd(tmp_path / "many", extra=more) as many:
        for kind in ("rsa", "ecdsa"):
            for words in (slice(None), slice(1, 2)):
                line = subprocess.run(
                    ["ssh-keygen", "-lf", tmp_path / f"{kind}.pub"], check=True, capture_output=True, text=True
                ).stdout
                host = Asset.objects.create(hostname=f"{kind}{words.start}", ip=many.address, port=many.port)
                host_check.trust(host, " ".join(line.split()[words]), WHO)
                assert host.host_key == host_keys.parse((tmp_path / f"{kind}.pub").read_text())


def test_adds_unreachable_host(admin, form):
    begun = time.monotonic()
    answer = admin.post("/hosts/new/", form | {"port": str(free_port()), "host_key": "SHA256:" + "A" * 43})
    page = text_of(admin.get(answer["Location"]).content.decode())
    assert time.monotonic() - begun < within(10) and "cannot be reached" in page and "lab was added." in page
    host = Asset.objects.get()
    assert host.reachable is False and "refused" in host.last_error
    for again in (admin.get(answer["Location"]), admin.post(f"/hosts/{host.pk}/check/")):
        kept = re.search(r'<textarea name="fingerprint"[^>]*>([^<]*)<', again.content.decode())[1]
        assert kept.strip() == "SHA256:" + "A" * 43, "what was pasted is at hand once the host is up"


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("nonsense", "known_hosts"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\r\nAAAA", "must never leave"),
        ("MD5:" + ":".join(["aa"] * 16), "MD5"),
    ],
)
def test_rejects_invalid_host_key(admin, form, typed, word):
    answer = admin.post("/hosts/new/", form | {"host_key": typed})
    page = answer.content.decode()
    beside = re.search(r'id="id_host_key-wrong">([^<]+)<', page)
    assert answer.status_code == 422 and beside and word in beside[1] and not Asset.objects.exists()


def test_checks_changed_address(admin, server, form):
    admin.post("/hosts/new/", form | {"host_key": server.host_key})
    host = Asset.objects.get()
    Asset.objects.update(reachable=False, last_error="was away", last_error_message=None)
    answer = admin.post(f"/hosts/{host.pk}/edit/", form | {"host_key": host.host_key, "ip": "localhost"})
    page = text_of(admin.get(answer["Location"]).content.decode())
    assert "was away" not in page
    Asset.objects.update(reachable=False, last_error="was away", last_error_message=None)
    answer = admin.post(
        f"/hosts/{host.pk}/edit/", form | {"host_key": host.host_key, "ip": "localhost", "description": "x"}
    )
    assert "was away" in admin.get(answer["Location"]).content.decode(), "a note is no other machine"


def test_resolves_name_for_each_connection(admin, server, form, monkeypatch):
    from deployer.engine import transport_socket as line

    leads = {"at": server.address}
    lookups = []

    def look_up(address, port, flags):
        lookups.append(address)
        return (
            real("127.0.0.9" if leads["at"] is None else leads["at"], port, 0)
            if address == "web.lab"
            else real(address, port, flags)
        )

    real = line._look_up
    monkeypatch.setattr(line, "_look_up", look_up)
    admin.post("/hosts/new/", form | {"ip": "Web.Lab", "host_key": server.host_key})
    host = Asset.objects.get()
    assert host.ip == "web.lab" and host.reachable is True and "web.lab" in lookups
    leads["at"] = None  # its name leads to an address without a server now
    assert host_check.check(host, WHO)["reachable"] is False
    leads["at"] = server.address
    assert host_check.check(host, WHO)["ready"] is True
