"""Shared by the tests of SSH: the endpoint of a server of the lab, its keys, and a command's whole output."""

import subprocess
import time

from deployer.engine.probe import Finding, probe
from deployer.engine.ssh import Endpoint, Limits
from tests.lab.busy import within

QUICK = Limits(connect=2, handshake=2, auth=2, keepalive=0.3, silence=1.5)


def endpoint_of(host, **other) -> Endpoint:
    known = {"address": host.address, "port": host.port, "username": host.username}
    return Endpoint(**known | {"host_key": host.host_key, "key": host.client_key} | other)


def check(endpoint: Endpoint, folder, **more) -> Finding:
    """Check the host for a test of what is found: with the product's 8 seconds, longer on a busy machine."""
    return probe(endpoint, str(folder), False, deadline=within(8), **more)


def collect(channel, given: bytes = b"", seconds: float = 30) -> tuple[bytes, bytes]:
    """Send the input, and read both streams to the end."""
    end, out, err, rest = time.monotonic() + seconds, b"", b"", memoryview(given)
    while not channel.ended:
        assert time.monotonic() < end, "the command did not end"
        if rest:
            rest = rest[channel.send(rest[: 1 << 16]) :]
            if not rest:
                channel.finish_input()
        more = channel.read(0 if rest else 0.5)
        out, err = out + more[0], err + more[1]
    return out, err


def make_key(path, kind: str, passphrase: str = "") -> tuple[str, str]:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path], check=True)
    return path.read_text(), path.with_suffix(".pub").read_text()


def let_in(host, public: str) -> None:
    with (host.folder / "authorized_keys").open("a") as file:
        file.write(public)
