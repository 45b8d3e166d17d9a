"""Which IP addresses are on the public internet: for connections to addresses that no administrator chose."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")
_MAPPED = IPv6Network("::ffff:0:0/96")
_UNICAST = IPv6Network("2000::/3")  # all that is allocated: everything else is private or reserved
# Allocated, and not public all the same. Python's own list differs from version to version.
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ),
    )
)
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
# Open to nobody by accident: this machine, its link, everyone at once, and what tells a cloud's machines their secrets.
_SPECIAL = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/4",
            "255.255.255.255/32",
            "::/128",
            "::1/128",
            "fe80::/10",
            "ff00::/8",
            "100.100.100.200/32",
            "168.63.129.16/32",
            "169.254.169.254/32",
            "192.0.0.192/32",
            "fd00:ec2::254/128",
            "fd20:ce::254/128",
        ),
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)  # the upper half of an interface's number, before its IPv4 address


def is_public(address: Address) -> bool:
    """Return whether an address is public, and so is every IPv4 address that is embedded in it."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _NOT_PUBLIC_4)
    if address in _MAPPED or address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address not in _UNICAST or not address.is_global or any(address in network for network in _NOT_PUBLIC_6):
        return False
    return all(is_public(inner) for inner in embedded(address))


def special_network(address: Address) -> IPv4Network | IPv6Network | None:
    """Return the smallest network around an address that must be named by itself to be allowed; None for others."""
    around = [network for network in _SPECIAL if address in network]
    return max(around, key=lambda network: network.prefixlen, default=None)


def embedded(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that packets to an IPv6 address may reach.

    They are mapped, compatible, translated, NAT64, 6to4, Teredo and ISATAP addresses.
    """
    if not isinstance(address, IPv6Address):
        return
    number = int(address)
    low = IPv4Address(number & 0xFFFFFFFF)
    if number >> 64 == 0 or address in _NAT64 or address in IPv6Network("64:ff9b:1::/48"):
        yield low
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        yield low
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
