"""Callbacks are kept away from private networks, whatever their address, name or answer."""

import socket

import pytest

from access.problems import Problem
from callbacks import http_client, receivers
from callbacks.models import Callback, DeliveryState, EventType
from tests.callbacks.receiver import Receiver

from .factories import SECRET, create_callback, enqueue, send_all

pytestmark = pytest.mark.django_db


def admits(address: str) -> bool:
    return receivers.current().allowed.admits("ci.example", address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "nonsense",
        # site-local, IPv4-compatible, IPv4-translated, protocol assignments, segment routing, and their like
        "fec0::1",
        "feff::1",
        "::127.0.0.1",
        "::7f00:1",
        "::8.8.8.8",
        "::ffff:0:127.0.0.1",
        "::ffff:0:8.8.8.8",
        "5f00::1",
        "192.0.0.8",
        "192.0.0.9",
        "192.0.0.170",
        "192.88.99.1",
        "198.18.0.1",
        "192.0.2.1",
        "240.0.0.1",
        "100::1",
        "64:ff9b:1::a00:1",
        "64:ff9b:1::808:808",
        "64:ff9b::7f00:1",
        "64:ff9b::c000:8",
        "2002:a00:1::1",
        "2002:c000:8::",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:0:808:808::f7f7:f7f7",
        "2001:db8::1",
        "2001:2::1",
        "2001:10::1",
        "3fff::1",
        "2606:4700::5efe:127.0.0.1",
        "2606:4700::200:5efe:10.0.0.1",
        "fe80::1%eth0",
        "fec0::1%1",
        "4000::1",
        "8000::1",
        "1::1",
        "::ffff:192.0.0.8",
        "::ffff:169.254.169.254",
        "127.0.0.1%eth0",
        "fd00:ec2::254",
        "168.63.129.16",
        "100.100.100.200",
    ],
)
def test_refuses_private_addresses(address):
    assert not admits(address)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34",
        "2606:2800:220:1:248:1893:25c8:1946",
        "64:ff9b::5db8:d822",
        "::ffff:93.184.216.34",
        "2002:5db8:d822::1",
        "2a00:1450:4001:80b::200e",
        "2606:4700::5efe:5db8:d822",
    ],
)
def test_allows_public_addresses(address):
    assert admits(address)


def test_allows_configured_networks(settings):
    settings.CALLBACK_ALLOWED_NETWORKS = ["10.1.0.0/16"]
    assert admits("10.1.2.3")
    assert not admits("10.2.0.1")
    assert admits("::ffff:10.1.2.3") and admits("64:ff9b::a01:203")
    assert not admits("::ffff:10.2.0.1")
    settings.CALLBACK_ALLOWED_NETWORKS = ["fec0::/10"]
    assert admits("fec0::1") and not admits("fe80::1")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "https://10.0.0.1:8443/",
        "ftp://example.org/",
        "http:///x",
        "nonsense",
        "",
        "http://user:pw@example.org/",
        "http://example.org/#x",
        "http://example.org:99999/",
        "http://example.org/ x",
        "http://exa\nmple.org/",
        "http://[::1/",
        "file:///etc/passwd",
    ],
)
def test_rejects_invalid_urls(url):
    with pytest.raises(Problem) as problem:
        create_callback(url)
    assert problem.value.errors[0]["pointer"] == "/url"


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
def test_gives_up_on_names_of_private_addresses(host):
    with Receiver() as receiver:
        callback_url = f"http://{host}:{receiver.port}/"
        Callback.objects.create(url=callback_url, secret=SECRET, events=list(EventType.values))
        enqueue()
        row = send_all()[0]
        assert receiver.got == []
    assert row.state == DeliveryState.FAILED
    assert "may not reach" in row.error


def test_connects_to_the_checked_address(receiver, monkeypatch):
    """DNS rebinding: a name is resolved once, so a second answer does not count."""
    lookups = []
    real = socket.getaddrinfo

    def rebinding(host, port, *rest, **more):
        if host != "rebind.example":
            return real(host, port, *rest, **more)
        lookups.append(host)
        address = "127.0.0.1" if len(lookups) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    create_callback(f"http://rebind.example:{receiver.port}/")
    enqueue()
    assert send_all()[0].state == DeliveryState.DELIVERED
    assert len(lookups) == 1
    assert receiver.got[0].headers["host"] == f"rebind.example:{receiver.port}"


def test_refuses_names_with_any_private_address(monkeypatch):
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *_, **__: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("93.184.216.34", "10.0.0.1")
        ],
    )
    with pytest.raises(http_client.AddressForbidden):
        http_client.resolve("mixed.example", 80, 5, receivers.current().allowed)


def test_redirects_are_not_followed(receiver):
    receiver.answers = [(307, {"Location": "/elsewhere"}, b"", 0)]
    create_callback(receiver.url)
    enqueue()
    row = send_all()[0]
    assert (row.answer_status, row.state) == (307, DeliveryState.PENDING)
    assert [got.path for got in receiver.got] == ["/hook?a=b"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "x"},
        {"webhook-id": "x"},
        {"Content-Length": "1"},
        {"a b": "x"},
        {"X-A": "a\r\nb"},
        {"": "x"},
        {"X-A": "x" * 3000},
        {f"X-{number}": "" for number in range(30)},
    ],
)
def test_rejects_reserved_headers(headers):
    with pytest.raises(Problem) as problem:
        create_callback("https://example.org/", headers=headers)
    assert problem.value.errors[0]["pointer"].startswith("/headers")
