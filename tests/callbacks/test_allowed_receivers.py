"""Private receivers are allowed at run time: as an administrator named them, with their certificates and a proxy."""

import os
import random
import socket
import subprocess

import pytest

from callbacks import receivers
from callbacks.models import Callback, Delivery, DeliveryState
from integrations import allowed_receivers
from integrations.allowed_receivers import Allowed, BadEntry, parse
from tests.integrations.servers import Authority
from tests.lab.connect_proxy import ConnectProxy

from .factories import SECRET, create_callback, enqueue, send_all
from .receiver import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]
LOOPBACK = ["127.0.0.1/32"]


def save(api, proxies=None, **fields):
    answer = api().put("/settings/", {"callbacks": fields, **({"proxies": proxies} if proxies else {})})
    assert answer.status_code == 200, answer.content


def sent(url: str, **fields) -> Delivery:
    create_callback(url, **fields)
    enqueue()
    return send_all()[0]


@pytest.mark.parametrize(
    ("entries", "host", "address", "admitted"),
    [
        (["10.0.0.0/8"], "x", "10.1.2.3", True),
        (["10.0.0.0/8"], "x", "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], "x", "192.168.0.1", False),
        (["fd12::/16"], "x", "fd12::1", True),
        # What must be named by itself.
        (["0.0.0.0/0", "::/0"], "x", "10.1.2.3", True),
        (["0.0.0.0/0", "::/0"], "x", "127.0.0.1", False),
        (["0.0.0.0/0", "::/0"], "x", "::1", False),
        (["0.0.0.0/0", "::/0"], "x", "::ffff:127.0.0.1", False),
        (["0.0.0.0/0", "::/0"], "x", "2002:7f00:1::", False),
        (["0.0.0.0/0", "::/0"], "x", "169.254.1.1", False),
        (["0.0.0.0/0", "::/0"], "x", "fe80::1", False),
        (["0.0.0.0/0", "::/0"], "x", "0.0.0.0", False),
        (["100.64.0.0/10"], "x", "100.100.100.200", False),
        (["fc00::/7"], "x", "fd00:ec2::254", False),
        (["168.0.0.0/8"], "x", "168.63.129.16", False),
        (["169.254.0.0/16"], "x", "169.254.1.1", True),
        (["169.254.0.0/16"], "x", "169.254.169.254", False),
        (["169.254.169.254"], "x", "169.254.169.254", True),
        (["127.0.0.0/8"], "x", "127.0.0.1", True),
        (["127.0.0.1"], "x", "127.0.0.2", False),
        (["::1"], "x", "::1", True),
        # Names: their private addresses, and no others.
        (["ci.internal"], "ci.internal", "10.1.2.3", True),
        (["ci.internal"], "CI.internal.", "10.1.2.3", True),
        (["ci.internal"], "evil.ci.internal", "10.1.2.3", False),
        (["*.internal"], "a.b.internal", "10.1.2.3", True),
        (["*.internal"], "internal", "10.1.2.3", False),
        (["*.internal"], "evilinternal", "10.1.2.3", False),
        (["ci.internal"], "ci.internal", "127.0.0.1", False),
        (["ci.internal"], "ci.internal", "169.254.169.254", False),
        (["ci.internal"], "ci.internal", "::ffff:127.0.0.1", False),
        (["ci.internal"], "ci.internal", "nonsense", False),
        ([], "x", "93.184.216.34", True),
    ],
)
def test_admits_what_is_named_and_no_more(entries, host, address, admitted):
    assert parse(entries).admits(host, address) is admitted


@pytest.mark.parametrize(
    "entry", ["", "*", "*.", "10.0.0.0/99", "127.1", "0x7f.1", "2130706433", "a b", "a..b", "http://a", "ä.de"]
)
def test_rejects_entries_that_mean_nothing(api, entry):
    with pytest.raises(BadEntry):
        parse([entry])
    answer = api().put("/settings/", {"callbacks": {"allowed": ["10.0.0.0/8", entry]}})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/callbacks/allowed"]


def test_rejects_too_many_entries_and_unreadable_certificates(api):
    many = {"callbacks": {"allowed": ["a.internal"] * (allowed_receivers.MAX_ENTRIES + 1)}}
    assert [one["code"] for one in api().put("/settings/", many).json()["errors"]] == ["receivers_max"]
    answer = api().post("/settings/check", {"callbacks": {"ca": "nonsense"}})
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/callbacks/ca"]


def test_a_change_counts_at_once(api):
    with Receiver() as receiver:
        create_callback(f"http://localhost:{receiver.port}/")
        enqueue("deployment.ended:1")
        assert send_all()[0].state == DeliveryState.FAILED and receiver.got == []
        save(api, allowed=["localhost"])
        enqueue("deployment.ended:2")
        assert send_all()[0].state == DeliveryState.FAILED, "a name opens no loopback address"
        save(api, allowed=[*LOOPBACK, "::1"])
        enqueue("deployment.ended:3")
        assert send_all()[0].state == DeliveryState.DELIVERED
        save(api, allowed=["10.0.0.0/8"])
        enqueue("deployment.ended:4")
        assert send_all()[0].state == DeliveryState.FAILED
        assert len(receiver.got) == 1


@pytest.fixture
def private_address():
    """Yield an address of a private network that this machine has for the time of a test."""
    if os.geteuid() != 0:
        pytest.skip("only root can give this machine an address")
    address = f"10.77.{random.randint(0, 255)}.{random.randint(1, 254)}"
    subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
    yield address
    subprocess.run(["ip", "addr", "del", f"{address}/32", "dev", "lo"], check=True)


def test_a_receiver_in_a_private_network(api, monkeypatch, private_address):
    real = socket.getaddrinfo
    names = {"ci.internal": private_address, "other.internal": private_address}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **rest: real(names.get(host, host), *more, **rest))
    with Receiver(address=private_address) as receiver:
        named, plain, other = (
            Callback.objects.create(url=f"http://{host}:{receiver.port}/", secret=SECRET, events=["deployment.ended"])
            for host in ("ci.internal", private_address, "other.internal")
        )
        for number, (allowed, delivered) in enumerate(
            (
                ([], set()),
                (["ci.internal"], {named.pk}),
                ([f"{private_address}/32"], {named.pk, plain.pk, other.pk}),
                (["*.internal"], {named.pk, other.pk}),
                (["10.78.0.0/16", "169.254.0.0/16"], set()),
            )
        ):
            save(api, allowed=allowed)
            enqueue(f"deployment.ended:{number}")
            rows = [*send_all(), *send_all()]
            assert {row.callback_id for row in rows if row.state == DeliveryState.DELIVERED} == delivered, allowed
            assert len(rows) == 3


def test_the_environment_still_allows(api, settings):
    settings.CALLBACK_ALLOWED_NETWORKS = LOOPBACK
    save(api, allowed=["10.0.0.0/8"])
    with Receiver() as receiver:
        assert sent(receiver.url).state == DeliveryState.DELIVERED


def test_own_ca_is_for_named_receivers(api):
    own, other = Authority(), Authority()
    with Receiver(tls=own.issue("receiver")) as receiver:
        save(api, allowed=LOOPBACK, ca=other.pem)
        create_callback(receiver.url)
        for number, ca, state in ((1, other.pem, "pending"), (2, "", "pending"), (3, own.pem, "delivered")):
            save(api, allowed=LOOPBACK, ca=ca)
            enqueue(f"deployment.ended:{number}")
            row = send_all()[0]
            assert row.state == state
            assert ("certificate is not trusted" in row.error) is (state == "pending")
        assert len(receiver.got) == 1


def test_certificates_are_not_for_receivers_that_nobody_named():
    context = {"ca": "", "client_cert": "", "client_key": "", "verify": False}
    rules = receivers.Rules(
        Allowed(*[parse(["10.0.0.0/8", "ci.internal"]).networks], frozenset({"ci.internal"})), context
    )
    public, private = (2, ("93.184.216.34", 443)), (2, ("10.1.2.3", 443))
    assert rules.context("example.org", [public]) is None
    assert rules.context("example.org", [public, private]) is None
    assert rules.context("example.org", [private]).check_hostname is False
    assert rules.context("ci.internal", [public]).check_hostname is False


def test_client_certificate(api):
    own = Authority()
    certificate, key = own.issue("deployer")
    with Receiver(tls=own.issue("receiver"), client_ca=own.pem) as receiver:
        save(api, allowed=LOOPBACK, ca=own.pem)
        assert sent(receiver.url).state == DeliveryState.PENDING
        save(api, allowed=LOOPBACK, ca=own.pem, client_cert=certificate, client_key=key)
        enqueue("deployment.ended:2")
        assert send_all()[0].state == DeliveryState.DELIVERED
    shown = api().get("/settings/").content.decode()
    assert "PRIVATE KEY" not in shown and '"client_key_set": true' in shown


@pytest.mark.parametrize("tls", [False, True])
def test_goes_through_the_proxy_to_the_checked_address(api, monkeypatch, tls):
    own, real = Authority(), socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **rest: real("127.0.0.1" if host == "ci.internal" else host, *more, **rest),
    )
    with Receiver(tls=own.issue("receiver") if tls else None) as receiver, ConnectProxy() as proxy:
        both = {"http": proxy.url, "https": proxy.url}
        save(api, both, allowed=LOOPBACK, ca=own.pem, use_proxy=True, verify=False)
        row = sent(receiver.url.replace("127.0.0.1", "ci.internal"))
        assert (row.state, row.error) == (DeliveryState.DELIVERED, "")
        assert proxy.asked == [f"127.0.0.1:{receiver.port}"], "the proxy is given the address, never the name"
        assert receiver.got[0].headers["host"] == f"ci.internal:{receiver.port}"
        save(api, both | {"no_proxy": ["ci.internal"]}, allowed=LOOPBACK, ca=own.pem, use_proxy=True, verify=False)
        enqueue("deployment.ended:2")
        assert send_all()[0].state == DeliveryState.DELIVERED and len(proxy.asked) == 1


def test_a_proxy_opens_no_private_address(api):
    with Receiver() as receiver, ConnectProxy() as proxy:
        save(api, {"http": proxy.url}, allowed=["10.0.0.0/8"], use_proxy=True)
        row = sent(f"http://localhost:{receiver.port}/")
        assert (row.state, proxy.asked, receiver.got) == (DeliveryState.FAILED, [], [])


def test_says_what_the_proxy_did(api):
    with Receiver() as receiver:
        with ConnectProxy(status=403) as proxy:
            save(api, {"http": proxy.url}, allowed=LOOPBACK, use_proxy=True)
            row = sent(receiver.url)
            assert (row.state, row.error) == ("pending", "The proxy refused the connection with status 403.")
        enqueue("deployment.ended:2")
        row = send_all()[0]
        assert row.state == "pending" and row.error.startswith("The proxy could not be reached.")
        assert receiver.got == []


def test_the_test_needs_a_proxy_that_answers(api):
    fields = {"allowed": LOOPBACK, "use_proxy": True}
    answer = api().post("/settings/check", {"callbacks": fields}).json()
    assert (answer["ok"], answer["findings"][0]["steps"][-1]["code"]) == (False, "probe.no_proxy")
    gone = {"callbacks": fields, "proxies": {"http": "http://127.0.0.1:1"}}
    findings = {one["part"]: one["ok"] for one in api().post("/settings/check", gone).json()["findings"]}
    assert findings == {"callbacks": False, "proxies": False}
    with ConnectProxy() as proxy:
        assert api().post("/settings/check", {"callbacks": fields, "proxies": {"http": proxy.url}}).json()["ok"]
