"""Replacing a credential: the new one is tried on the hosts that use it first. An unused one can be deleted."""

import subprocess

import pytest
from django.test import Client

from access.callers import Caller
from access.problems import Problem
from access.tokens import make_token
from asset import credential_check, credentials, hosts
from asset.models import Credential
from audit.models import History
from deployer.engine.endpoint import reveal
from messages.rendering import render
from tests.api.client import Api
from tests.lab.network import free_port
from tests.lab.sshd import Sshd

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("removal")]
WHO = Caller(name="ann", scopes=frozenset({"admin"}))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Sshd(tmp_path_factory.mktemp("host")) as running:
        yield running


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    path = tmp_path_factory.mktemp("other") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.read_text()


@pytest.fixture
def used(server):
    """Return a credential that a host uses."""
    made = credentials.create(WHO, {"name": "fleet", "secret": server.client_key})
    hosts.create(
        WHO,
        {
            "hostname": "web1",
            "ip": server.address,
            "port": server.port,
            "username": server.username,
            "credential_id": made.pk,
            "base_path": str(server.root),
            "host_key": server.host_key,
        },
    )
    return made


def test_tries_a_new_secret_without_saving_it(used, stranger, server):
    assert [(one["hostname"], one["accepted"]) for one in credential_check.trial(WHO, used, {})] == [("web1", True)]
    (refused,) = credential_check.trial(WHO, used, {"secret": stranger})
    assert refused["accepted"] is False and "rejected the login" in render(refused["error"])
    with pytest.raises(Problem) as caught:
        credential_check.refuse_unaccepted([refused])
    assert (caught.value.status, caught.value.code) == (409, "credential_refused")
    assert reveal(Credential.objects.get().secret) == server.client_key and stranger not in str(caught.value.errors)


def test_tells_unreachable_from_refusing_hosts(used, stranger):
    hosts.change(WHO, used.hosts.get(), {"port": free_port()})
    (silent,) = credential_check.trial(WHO, used, {"secret": stranger})
    assert silent["accepted"] is None and "cannot be reached" in render(silent["error"])
    with pytest.raises(Problem):
        credential_check.refuse_unaccepted([silent])
    credential_check.refuse_unaccepted([silent, {**silent, "accepted": True}])
    credential_check.refuse_unaccepted([])


def test_api_saves_only_an_accepted_secret(used, stranger, server, django_user_model):
    user = django_user_model.objects.create_superuser("root", password="x")
    api = Api(make_token(user, "t", ("read", "admin"))[1])
    path = f"/credentials/{used.pk}"
    result = api.post(f"{path}/test", {"secret": stranger}).json()
    assert [row["accepted"] for row in result["data"]] == [False]
    refused = api.patch(path, {"secret": stranger, "test": True})
    assert refused.status_code == 409 and refused.json()["code"] == "credential_refused"
    assert reveal(Credential.objects.get().secret) == server.client_key
    assert api.patch(path, {"secret": server.client_key, "test": True, "name": "new"}).status_code == 200
    assert api.post(f"{path}/test", {"hosts": [99999]}).status_code == 422
    assert api.patch(path, {"secret": stranger}).status_code == 200  # without a test that was asked for
    assert reveal(Credential.objects.get().secret) == stranger


def test_page_tests_a_secret_and_never_shows_it(used, stranger, server, admin_client: Client):
    path = f"/credentials/{used.pk}/"
    assert path in admin_client.get("/credentials/").content.decode()
    page = admin_client.get(path).content.decode()
    assert "web1" in page and server.client_key[40:80] not in page
    values = {"name": "fleet", "kind": "key", "secret": stranger, "passphrase": "", "test": "on"}
    answer = admin_client.post(path, values)
    assert answer.status_code == 422 and "refused" in answer.content.decode()
    assert stranger[40:80] not in answer.content.decode()
    assert reveal(Credential.objects.get().secret) == server.client_key
    said = admin_client.post(path, {**values, "secret": server.client_key}, follow=True).content.decode()
    assert "1 host accepted it" in said
    assert History.objects.filter(action="change", reason="the secret was replaced").exists()
    before = History.objects.count()
    admin_client.post(path, {"name": "fleet", "kind": "key", "secret": "", "passphrase": "", "test": "on"})
    assert reveal(Credential.objects.get().secret) == server.client_key and History.objects.count() == before


def test_deletes_an_unused_credential(used, admin_client: Client):
    assert "Workers log in with" in admin_client.post(f"/credentials/{used.pk}/delete/", follow=True).content.decode()
    hosts.change(WHO, used.hosts.get(), {"credential_id": None})
    admin_client.post(f"/credentials/{used.pk}/delete/")
    assert not Credential.objects.exists()
