"""Hosts: the rules for creating, changing and deleting them, and their jump hosts."""

import subprocess
import threading

import pytest
from django.db import connection

from access.callers import Caller
from access.problems import Problem
from asset import credentials, hosts, imports
from asset.models import Asset, Credential
from audit.models import History
from tests import factories

pytestmark = pytest.mark.django_db
WHO = Caller(name="ann", scopes=frozenset({"admin"}), address="10.9.9.9")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """(private key, the same locked with "open sesame", public key)"""
    folder = tmp_path_factory.mktemp("keys")
    for name, phrase in (("plain", ""), ("locked", "open sesame")):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", folder / name], check=True)
    return (folder / "plain").read_text(), (folder / "locked").read_text(), (folder / "plain.pub").read_text()


def make(hostname="web1", **more):
    return hosts.create(WHO, {"hostname": hostname, "ip": "10.0.0.1", **more})


def test_creates_a_host(keys):
    host = make(ip="2001:DB8::1", base_path="/srv//x/", host_key=keys[2], labels={"zone": "eu"})
    host.refresh_from_db()
    assert (host.ip, host.base_path, host.host_key) == ("2001:db8::1", "/srv/x", " ".join(keys[2].split()[:2]))
    row = History.objects.get()
    assert (row.actor, row.address, row.action, row.subject, row.subject_id) == (
        "ann",
        "10.9.9.9",
        "create",
        "host",
        host.pk,
    )
    assert row.after["labels"] == {"zone": "eu"}


def test_names_every_invalid_field():
    with pytest.raises(Problem) as refused:
        hosts.create(WHO, {"hostname": "a;b", "ip": "no where", "credential_id": 77, "jump_host_id": 78})
    assert refused.value.status == 422
    pointers = {error["pointer"] for error in refused.value.errors}
    assert pointers == {"/hostname", "/ip", "/credential_id", "/jump_host_id"}
    assert not Asset.objects.exists() and not History.objects.exists()


def test_refuses_a_taken_name():
    host = make()
    with pytest.raises(Problem) as refused:
        make()
    assert (refused.value.status, refused.value.code) == (409, "already_exists")
    other = make("web2")
    with pytest.raises(Problem) as refused:
        hosts.change(WHO, other, {"hostname": host.hostname})
    assert refused.value.code == "already_exists"


def test_changes_only_the_named_fields():
    host = make(description="old")
    Asset.objects.filter(pk=host.pk).update(last_error="seen by another worker")
    hosts.change(WHO, host, {"description": "new", "port": 22})
    host.refresh_from_db()
    assert (host.description, host.last_error) == ("new", "seen by another worker")
    row = History.objects.filter(action="change").get()
    assert (row.before, row.after) == ({"description": "old"}, {"description": "new"})


def test_keeps_the_base_path_of_a_used_host():
    host = make()
    factories.instances(factories.versions(factories.service(), 1)[0], [host])
    with pytest.raises(Problem) as refused:
        hosts.change(WHO, host, {"base_path": "/elsewhere"})
    assert refused.value.code == "host_in_use"
    hosts.change(WHO, host, {"base_path": "/srv/services/"})


def test_refuses_to_delete_a_used_host():
    host = make()
    behind = make("web2", jump_host_id=host.pk)
    with pytest.raises(Problem) as refused:
        hosts.delete(WHO, host)
    assert (refused.value.status, refused.value.code) == (409, "host_in_use")
    assert "web2" in refused.value.detail
    hosts.delete(WHO, behind)
    hosts.delete(WHO, host)
    assert not Asset.objects.exists()
    assert History.objects.filter(action="delete").count() == 2


def test_refuses_circles_and_long_paths():
    chain = [make("h0")]
    for number in range(1, 4):
        chain.append(make(f"h{number}", jump_host_id=chain[-1].pk))
    with pytest.raises(Problem, match="more than 3"):
        make("h4", jump_host_id=chain[3].pk)
    with pytest.raises(Problem, match="circle"):
        hosts.change(WHO, chain[0], {"jump_host_id": chain[2].pk})
    with pytest.raises(Problem, match="circle"):
        hosts.change(WHO, chain[0], {"jump_host_id": chain[0].pk})
    with pytest.raises(Problem, match="behind this one"):
        hosts.change(WHO, chain[0], {"jump_host_id": make("door").pk})
    hosts.change(WHO, chain[0], {"jump_host_id": None})


def test_loads_a_path_in_one_query(keys, django_assert_num_queries):
    key = credentials.create(WHO, {"name": "k", "secret": keys[1], "passphrase": "open sesame"})
    password = credentials.create(WHO, {"name": "p", "kind": "password", "secret": "pass word"})
    jump = None
    for number in range(4):
        jump = make(
            f"h{number}",
            credential_id=(key, password)[number % 2].pk,
            jump_host_id=jump.pk if jump else None,
            port=2200 + number,
            username=f"u{number}",
            host_key=keys[2],
            package_port=8000 + number,
            package_address=f"10.9.9.{number}" if number == 1 else None,
        )
    host = Asset.objects.get(pk=jump.pk)
    with django_assert_num_queries(1):
        end = hosts.endpoint_of(host)
    hops = [end]
    while hops[-1].jump:
        hops.append(hops[-1].jump)
    assert [(hop.port, hop.username) for hop in hops] == [(2203, "u3"), (2202, "u2"), (2201, "u1"), (2200, "u0")]
    assert [(hop.package_port, hop.fetch_from) for hop in hops[1:3]] == [(8002, hops[1].address), (8001, "10.9.9.1")]
    assert hops[0].password.reveal() == "pass word" and not hops[0].key
    assert hops[1].key.reveal() == keys[1] and hops[1].passphrase.reveal() == "open sesame"
    assert "pass word" not in repr(end) and "sesame" not in repr(end)
    loaded = Asset.objects.select_related(*hosts.PATH).get(pk=jump.pk)
    with django_assert_num_queries(0):
        assert hosts.endpoint_from(loaded) == end


def test_refuses_an_existing_circle(keys):
    key = credentials.create(WHO, {"name": "k", "secret": keys[0]})
    one = make("h1", credential_id=key.pk)
    other = make("h2", jump_host_id=one.pk, credential_id=key.pk)
    Asset.objects.filter(pk=one.pk).update(jump_host=other)
    with pytest.raises(Problem) as refused:
        hosts.endpoint_of(one)
    assert refused.value.code == "too_many_jumps"


def test_refuses_a_host_without_a_credential():
    with pytest.raises(Problem) as refused:
        hosts.endpoint_of(make())
    assert refused.value.code == "no_credential"


@pytest.mark.django_db(transaction=True)
def test_one_of_many_equal_creations_succeeds():
    answers = []

    def attempt():
        try:
            make("same")
            answers.append(201)
        except Problem as problem:
            answers.append(problem.status)
        finally:
            connection.close()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] + [409] * 7


# --- concurrent requests ----------------------------------------------------------------------------------------------


def test_imports_csv():
    text = 'hostname,ip,port,sudo,labels,description\na,10.0.0.1,2222,yes,zone=eu;rack=1,"one, two"\nb,10.0.0.2,,,,\n'
    made = imports.import_many(WHO, imports.from_csv(text))
    one, two = Asset.objects.order_by("hostname")
    assert (one.port, one.sudo, one.labels, one.description) == (2222, True, {"zone": "eu", "rack": "1"}, "one, two")
    assert (two.port, two.sudo, two.labels) == (22, False, {})
    assert len(made) == 2 and all(host.pk for host in made)
    assert History.objects.get().after == {"count": 2, "hostnames": ["a", "b"]}


def test_imports_nothing_if_a_row_is_invalid():
    make("there")
    rows = [
        {"hostname": "ok", "ip": "10.0.0.1"},
        {"hostname": "there", "ip": "10.0.0.2"},
        {"hostname": "twice", "ip": "10.0.0.3"},
        {"hostname": "twice", "ip": "10.0.0.4", "port": "x", "wh/eels": 4},
        "nonsense",
        {"ip": "10.0.0.5", "credential_id": 99},
    ]
    with pytest.raises(Problem) as refused:
        imports.import_many(WHO, rows)
    assert {error["pointer"] for error in refused.value.errors} == {
        "/1/hostname",
        "/2/hostname",
        "/3/hostname",
        "/3/port",
        "/3/wh~1eels",
        "/4",
        "/5/hostname",
        "/5/credential_id",
    }
    assert Asset.objects.count() == 1


@pytest.mark.parametrize(
    "text", ["", "\n", "hostname,hostname\na,b\n", 'hostname,ip\n"a,10.0.0.1\n', "hostname,ip\na,b,c\n"]
)
def test_rejects_an_invalid_table(text):
    with pytest.raises(Problem) as refused:
        imports.import_many(WHO, imports.from_csv(text))
    assert refused.value.status == 422


def test_import_has_constant_queries(django_assert_max_num_queries):
    rows = [{"hostname": f"h{number}", "ip": f"10.1.{number // 250}.{number % 250 + 1}"} for number in range(400)]
    with django_assert_max_num_queries(17):
        imports.import_many(WHO, rows)
    assert Asset.objects.count() == 400


# --- credentials ------------------------------------------------------------------------------------------------------


def refused_at(call, *arguments):
    with pytest.raises(Problem) as refused:
        call(*arguments)
    assert refused.value.status == 422
    said = str(refused.value.errors) + refused.value.detail
    assert "sesame" not in said and "PRIVATE KEY" not in said
    return {error["pointer"] for error in refused.value.errors}


def test_rejects_a_key_with_a_wrong_passphrase(keys):
    plain, locked, _ = keys
    assert credentials.create(WHO, {"name": "a", "secret": plain}).pk
    assert credentials.create(WHO, {"name": "b", "secret": locked, "passphrase": "open sesame"}).pk
    assert refused_at(credentials.create, WHO, {"name": "c", "secret": locked})
    assert refused_at(credentials.create, WHO, {"name": "c", "secret": locked, "passphrase": "sesame"}) == {
        "/passphrase"
    }
    assert refused_at(credentials.create, WHO, {"name": "c", "secret": "no key, but sesame"}) == {"/secret"}
    assert refused_at(credentials.create, WHO, {"secret": plain}) == {"/name"}
    assert refused_at(credentials.create, WHO, {"name": " c", "kind": "card", "secret": ""}) == {
        "/name",
        "/kind",
        "/secret",
    }
    assert refused_at(credentials.create, WHO, {"name": "c", "kind": "password", "secret": "two\nlines"}) == {"/secret"}
    assert Credential.objects.count() == 2


def test_encrypts_secrets(keys, caplog):
    credential = credentials.create(WHO, {"name": "p", "kind": "password", "secret": "canary-5d1"})
    credentials.change(WHO, credential, {"secret": "canary-5d2"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM credential")
        assert "canary" not in cursor.fetchone()[0]
    assert Credential.objects.get().secret.reveal() == "canary-5d2"
    shown = repr(list(History.objects.values())) + caplog.text + repr(credential.secret) + f"{credential.secret}"
    assert "canary" not in shown
    assert History.objects.filter(reason="the secret was replaced").count() == 1


def test_a_new_secret_replaces_the_passphrase(keys):
    plain, locked, _ = keys
    credential = credentials.create(WHO, {"name": "k", "secret": locked, "passphrase": "open sesame"})
    credentials.change(WHO, credential, {"secret": plain})
    credential.refresh_from_db()
    assert credential.passphrase == ""
    assert refused_at(credentials.change, WHO, credential, {"kind": "password"}) == {"/secret"}
    credentials.change(WHO, Credential.objects.get(), {"kind": "password", "secret": "x"})
    assert Credential.objects.get().kind == "password"


def test_refuses_to_delete_a_used_credential(keys):
    credential = credentials.create(WHO, {"name": "k", "secret": keys[0]})
    host = make(credential_id=credential.pk)
    with pytest.raises(Problem) as refused:
        credentials.delete(WHO, credential)
    assert refused.value.code == "credential_in_use" and "web1" in refused.value.detail
    with pytest.raises(Problem) as refused:
        credentials.create(WHO, {"name": "k", "secret": keys[0]})
    assert refused.value.code == "already_exists"
    hosts.change(WHO, host, {"credential_id": None})
    credentials.delete(WHO, credential)
    assert not Credential.objects.exists()
