"""Free ports, the last used one first."""

import random
import socket


def usable(address: str, port: int) -> bool:
    """Return whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def choose_port(address: str, last: int = 0) -> int:
    """Return `last` if it is free, else any free port of `address`: below those that the system gives to outgoing
    connections, so that none of these takes it while its server is started. It is free at 127.0.0.1 too, where the
    demo's services listen as well."""
    if last and usable(address, last):
        return last
    for port in (random.SystemRandom().randint(12_000, 31_999) for _ in range(100)):
        if usable(address, port) and usable("127.0.0.1", port):
            return port
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def choose_address(number: int) -> str:
    """Return the loopback address of the demo's host with this number; 127.0.0.1 where a system has only that one."""
    address = f"127.77.0.{number}"
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return "127.0.0.1"
    return address
