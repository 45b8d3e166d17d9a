"""Addresses and ports of the tests' servers: loopback only, free ones only."""

import random
import socket
import time

from tests.lab.busy import within

_random = random.SystemRandom()


def loopback_address() -> str:
    """Return some address in 127.0.0.0/8 other than 127.0.0.1; each host of a test has its own."""
    return f"127.{_random.randint(1, 250)}.{_random.randint(0, 255)}.{_random.randint(2, 254)}"


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that no server has, below those that the system gives to outgoing connections: none of these takes
    it while the server that it is for is killed and started again."""
    while True:
        port = _random.randint(12_000, 31_999)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port


def wait_for_port(address: str, port: int, seconds: float = 10) -> None:
    """Return once something accepts connections there; TimeoutError if nothing does in time (busy.py)."""
    deadline = time.monotonic() + within(seconds)
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens at {address}:{port} after {seconds} s") from None
            time.sleep(0.01)


def wait_until(condition, seconds: float = 10, what: str = "the condition"):
    """Return the first true value of `condition()`; TimeoutError if there is none in time (busy.py)."""
    deadline = time.monotonic() + within(seconds)
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)
