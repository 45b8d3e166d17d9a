"""The connection to a host as somebody tries it by hand: text to copy, without any secret. Pure."""

import shlex

from .models import Asset

MOST_JUMPS = 3


def ssh_line(host: Asset) -> str:
    """An ssh command for the host, through its jump hosts; every value of a row is one quoted word.

    The host's jump hosts should be loaded with it, or they cost a query each.
    """
    words = ["ssh", "-p", str(host.port)]
    if jumps := hops(host):
        words += ["-J", ",".join(_place(hop) for hop in reversed(jumps))]
    words += ["-l", host.username, "--", host.ip]
    if host.sudo:
        words += ["sudo", "-n", "true"]
    return " ".join(shlex.quote(word) for word in words)


def hops(host: Asset) -> list[Asset]:
    """Its jump hosts, the nearest to it first."""
    found: list[Asset] = []
    hop = host.jump_host
    while hop is not None and len(found) < MOST_JUMPS:
        found.append(hop)
        hop = hop.jump_host
    return found


def _place(hop: Asset) -> str:
    address = f"[{hop.ip}]" if ":" in hop.ip else hop.ip
    return f"{hop.username}@{address}:{hop.port}"
