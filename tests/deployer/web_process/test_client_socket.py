"""A connection as the threads see it: paced reading, and answers that wait for no client."""

import socket
import threading
import time

import pytest

from deployer.web_process.client_socket import MAX_UNSENT, NO_WAITING, ClientSocket, ClientTooSlow, Pace
from tests.lab.busy import within


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    yield ClientSocket(ours), theirs
    ours.close()
    theirs.close()


def test_pace_has_idle_time_and_average():
    pace = Pace(idle=30, grace=10, floor=100)
    assert pace.left(0, 0) == 10
    assert pace.left(0, 10) == 0
    assert pace.left(1000, 15) == 5
    assert pace.left(1_000_000, 15) == 30


def test_gives_up_silent_clients(pair):
    line, theirs = pair
    line.begin(Pace(idle=0.2, grace=60))
    theirs.sendall(b"x")
    assert line.recv(10) == b"x"
    with pytest.raises(TimeoutError):
        line.recv(10)


def test_returns_collected_bytes_at_once(pair):
    """Whatever a client says of a length that the loop reads in another way: no thread waits for the rest."""
    line = ClientSocket(pair[0])
    line.begin(NO_WAITING)
    began = time.monotonic()
    with pytest.raises(ClientTooSlow):
        line.recv(1)
    assert time.monotonic() - began < within(0.5)


def test_gives_up_dripping_clients(pair):
    line, theirs = pair
    line.begin(Pace(idle=5, grace=0.5, floor=1000))
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.05):
            theirs.sendall(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    began = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            while time.monotonic() - began < 20:
                line.recv(10)
    finally:
        over.set()
        dripping.join()
    assert time.monotonic() - began < within(10)


def test_slow_stores_do_not_count(pair):
    line, theirs = pair
    line.begin(Pace(idle=5, grace=0.3, floor=1000))
    for _ in range(4):
        theirs.sendall(b"x")
        time.sleep(0.2)  # here
        assert line.recv(10) == b"x"


def test_buffers_unsent_answers_up_to_a_limit(pair, monkeypatch):
    monkeypatch.setattr("deployer.web_process.client_socket.SEND_TIMEOUT", 60)
    line, theirs = pair
    began = time.monotonic()
    line.sendall(b"x" * MAX_UNSENT)
    assert time.monotonic() - began < within(0.3) and line.unsent
    monkeypatch.setattr("deployer.web_process.client_socket.SEND_TIMEOUT", 0.3)
    with pytest.raises(ClientTooSlow):
        line.sendall(b"y" * MAX_UNSENT)
    got = b""
    while line.unsent or len(got) < MAX_UNSENT * 2:
        got += theirs.recv(1 << 20)
        line.send_unsent()
    assert got == b"x" * MAX_UNSENT + b"y" * MAX_UNSENT
