"""The ssh command with which a person connects to a host by hand: text to copy, without any secret. Pure."""

import shlex
from collections.abc import Sequence

from .endpoints import MAX_JUMPS
from .models import Asset


def ssh_line(host: Asset) -> str:
    """Return an ssh command for the host, through its jump hosts; every value of a row is one quoted word.

    Load the jump hosts with the host: each one that is missing costs a query.
    """
    words = _ssh(host, hops(host))
    if host.sudo:
        words += ["sudo", "-n", "true"]
    return shlex.join(words)


def hops(host: Asset) -> list[Asset]:
    """Return the host's jump hosts, the nearest first."""
    jump_hosts: list[Asset] = []
    hop = host.jump_host
    while hop is not None and len(jump_hosts) < MAX_JUMPS:
        jump_hosts.append(hop)
        hop = hop.jump_host
    return jump_hosts


def _ssh(host: Asset, jumps: Sequence[Asset], *more: str) -> list[str]:
    """Return the words of the command. `jumps`: the nearest to the host first."""
    return [
        "ssh",
        *_algorithms(host),
        "-p",
        str(host.port),
        *_through(host, jumps),
        *more,
        "-l",
        host.username,
        "--",
        host.ip,
    ]


def _through(host: Asset, jumps: Sequence[Asset]) -> list[str]:
    if not jumps:
        return []
    if not any(hop.legacy_algorithms for hop in jumps):
        return ["-J", ",".join(f"{hop.username}@{_address(hop)}:{hop.port}" for hop in reversed(jumps))]
    # -J passes no options to a jump host. In ProxyCommand ssh expands %, so it is doubled.
    command = shlex.join(_ssh(jumps[0], jumps[1:], "-W", f"{_address(host)}:{host.port}"))
    return ["-o", f"ProxyCommand={command.replace('%', '%%')}"]


def _algorithms(host: Asset) -> list[str]:
    """Return the options that make ssh accept the legacy algorithms that the host allows."""
    if not host.legacy_algorithms:
        return []
    from deployer.engine.ssh.algorithms import by_hand  # imports paramiko: only where a host needs it

    return [word for option in by_hand() for word in ("-o", option)]


def _address(host: Asset) -> str:
    return f"[{host.ip}]" if ":" in host.ip else host.ip
