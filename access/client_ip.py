"""Determine the IP address of a client. Only TRUSTED_PROXIES are believed about another address."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


@lru_cache(maxsize=8)
def _networks(trusted: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(entry, strict=False) for entry in trusted if entry != "unix")


def is_proxy(address: str) -> bool:
    """Return whether connections from this address come from one of TRUSTED_PROXIES."""
    if not address:  # a unix socket has no address: its name in TRUSTED_PROXIES is "unix"
        return "unix" in settings.TRUSTED_PROXIES
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in _networks(tuple(settings.TRUSTED_PROXIES)))


def client_address(request: HttpRequest) -> str:
    return address_of(request.META)


def address_of(environ: Mapping[str, Any]) -> str:
    """Return the nearest address that is not a trusted proxy: from the right, because clients can forge the left end.

    `environ`: that of WSGI.
    """
    address = str(environ.get("REMOTE_ADDR", ""))
    forwarded = [part.strip() for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    while forwarded and is_proxy(address):
        nearer = forwarded.pop()
        try:
            address = str(ip_address(nearer))
        except ValueError:
            break
    return address


def neighbourhood(address: str) -> str:
    """Return what one client can use at will: an IPv4 address, or an IPv6 /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Network((int(parsed), 64), strict=False)) if isinstance(parsed, IPv6Address) else address


class ForwardedMiddleware:
    """Remove the header by which a proxy says that a request came over https, unless a trusted proxy sent it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_proxy(str(request.META.get("REMOTE_ADDR", ""))):
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        return self.get_response(request)
