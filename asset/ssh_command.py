"""The connection to a host as somebody tries it by hand: text to copy, without any secret. Pure."""

import shlex
from collections.abc import Sequence

from .models import Asset

MOST_JUMPS = 3


def ssh_line(host: Asset) -> str:
    """An ssh command for the host, through its jump hosts; every value of a row is one quoted word.

    The host's jump hosts should be loaded with it, or they cost a query each.
    """
    words = _reach(host, hops(host))
    if host.sudo:
        words += ["sudo", "-n", "true"]
    return shlex.join(words)


def hops(host: Asset) -> list[Asset]:
    """Its jump hosts, the nearest to it first."""
    found: list[Asset] = []
    hop = host.jump_host
    while hop is not None and len(found) < MOST_JUMPS:
        found.append(hop)
        hop = hop.jump_host
    return found


def _reach(host: Asset, jumps: Sequence[Asset], *more: str) -> list[str]:
    """`jumps`: the nearest to it first."""
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
    # -J gives a jump host no options. ssh replaces what follows a % in a command.
    way = shlex.join(_reach(jumps[0], jumps[1:], "-W", f"{_address(host)}:{host.port}"))
    return ["-o", f"ProxyCommand={way.replace('%', '%%')}"]


def _algorithms(host: Asset) -> list[str]:
    """The options without which ssh refuses what the host's row allows."""
    if not host.legacy_algorithms:
        return []
    from deployer.engine.ssh.algorithms import by_hand  # loads what speaks SSH: only where a host is old

    return [word for option in by_hand() for word in ("-o", option)]


def _address(host: Asset) -> str:
    return f"[{host.ip}]" if ":" in host.ip else host.ip
