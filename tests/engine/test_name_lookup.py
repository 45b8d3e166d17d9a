"""A host's address may be a name: it is looked up at each connection, within the connection's time limit."""

import socket
import threading
import time

import pytest

from deployer.engine import transport_socket
from deployer.engine.endpoint import Endpoint
from deployer.engine.errors import Unreachable
from deployer.engine.ssh import connect, fetch_host_key
from deployer.engine.transport_socket import dial
from tests.lab.busy import within

from .ssh_client import QUICK, endpoint_of

pytestmark = pytest.mark.found("keys")


@pytest.fixture
def leads(monkeypatch):
    """`leads["web.lab"] = [addresses]`: what the name servers say; an exception is raised, a number is waited for."""
    found: dict[str, object] = {}
    real = transport_socket._look_up

    def look_up(address, port, flags):
        answer = found.get(address, [address])
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, threading.Event):
            answer.wait(60)
            answer = []
        return [one for each in answer for one in real(each, port, socket.AI_NUMERICHOST)]

    monkeypatch.setattr(transport_socket, "_look_up", look_up)
    return found


def test_name_is_looked_up_at_each_connection(sshds, leads):
    first, second = sshds(2)
    leads["web.lab"] = [first.address]
    endpoint = endpoint_of(first, address="web.lab")
    with connect(endpoint, QUICK) as connection:
        assert connection.alive
    leads["web.lab"] = [second.address]
    with pytest.raises(Unreachable, match="web"):
        connect(endpoint, QUICK)  # no server listens on the first one's port there


def test_connects_to_first_address_that_answers(sshds, leads):
    (host,) = sshds(1)
    leads["web.lab"] = ["127.0.0.66", host.address]
    assert fetch_host_key("web.lab", host.port, 5) == host.host_key


def test_distinguishes_unknown_name_from_silent_server(leads):
    for error, words in (
        (socket.gaierror(socket.EAI_NONAME, "x"), "unknown_name"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "no_name_server"),
        (UnicodeError("x"), "invalid_name"),
    ):
        leads["web.lab"] = error
        with pytest.raises(Unreachable, match=words):
            dial(Endpoint("web.lab", 22), 5)


def test_name_lookup_has_connect_timeout(leads):
    over = threading.Event()
    leads["web.lab"] = over
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="no_name_server"):
        dial(Endpoint("web.lab", 22), 0.5)
    assert time.monotonic() - begun < within(5)
    over.set()


def test_address_needs_no_name_server(monkeypatch):
    lookups = []
    monkeypatch.setattr(transport_socket.threading, "Thread", lambda *_, **__: lookups.append(1))
    for address in ("127.0.0.1", "::1"):
        assert transport_socket.resolved(address, 22, 1)[0][1][0] == address
    assert not lookups
