"""Which receivers an administrator allows callbacks to reach beside public ones: networks, addresses and host names.

Loopback, link-local addresses and the metadata services of clouds are allowed only by an entry within their own
network: a wide one such as 0.0.0.0/0 or a host name does not open them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from access.public_networks import Address, embedded, is_public, special_network

MAX_ENTRIES = 200
MAX_NAME = 253  # characters
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL}){{0,126}}\Z")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")  # a last label that makes resolvers read an address


class BadEntry(ValueError):
    """An entry that is neither a network, an address nor a host name."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Networks, and names in lower case; one that begins with `*.` stands for every name below it."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    names: frozenset[str] = frozenset()

    def has_network_of(self, address: Address) -> bool:
        """Return whether the address is in one of the networks, and nothing that it embeds is forbidden."""
        if special_network(address):
            return self._opens(address)
        every = (address, *embedded(address))
        return all(self._opens(one) for one in every) and any(one in net for net in self.networks for one in every)

    def has_name(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        below = name.split(".")[1:]
        return name in self.names or any(f"*.{'.'.join(below[at:])}" in self.names for at in range(len(below)))

    def admits(self, host: str, text: str) -> bool:
        """Return whether requests to a host may go to this address of it: public, or allowed."""
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if is_public(address) or self.has_network_of(address):
            return True
        return self.has_name(host) and not any(special_network(one) for one in (address, *embedded(address)))

    def names_receiver(self, host: str, texts: Iterable[str]) -> bool:
        """Return whether an administrator named this receiver: its host, or a network of each of its addresses."""
        return self.has_name(host) or all(self.has_network_of(ip_address(text.partition("%")[0])) for text in texts)

    def _opens(self, address: Address) -> bool:
        special = special_network(address)
        # Of the same family always: both hold the address.
        return special is None or any(
            address in network and network.subnet_of(special)  # type: ignore[arg-type]
            for network in self.networks
        )


def parse(entries: Iterable[str]) -> Allowed:
    """Return what a list of entries allows. Raise BadEntry with the first that is none."""
    networks: list[IPv4Network | IPv6Network] = []
    names: set[str] = set()
    for entry in entries:
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            names.add(_name(entry))
    return Allowed(tuple(networks), frozenset(names))


def _name(entry: str) -> str:
    name = entry.lower().rstrip(".")
    if len(name) > MAX_NAME or not _NAME.match(name) or _NUMERIC.match(name.rpartition(".")[2]):
        raise BadEntry(entry)
    return name
