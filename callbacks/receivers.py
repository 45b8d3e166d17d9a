"""Which receivers callbacks may reach, and how: from the settings and the environment, read for each request.

The CA, the client certificate and `verify` of the settings are for receivers that an administrator named. All others
are verified with the authorities that this system trusts, and get no client certificate.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from deployer.engine import transport_socket
from integrations import http_client, proxy_tunnel, registry
from integrations.allowed_receivers import Allowed, parse

Places = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Rules:
    """`part`, `proxies`: the settings, None where they are not configured."""

    allowed: Allowed
    part: registry.Fields | None = None
    proxies: registry.Fields | None = None

    def context(self, host: str, places: Places) -> ssl.SSLContext | None:
        """Return the TLS context for a receiver; None: the usual one. Raise BadCertificates."""
        if self.part is None or not self.allowed.names_receiver(host, [str(place[0]) for _, place in places]):
            return None
        return http_client.tls(self.part)

    def dial(self, url: str) -> Callable[[Places, float], Any]:
        """Return what connects to addresses of a receiver: directly, or through the proxy of the settings."""
        proxies = self.proxies if self.part is not None and self.part["use_proxy"] else None
        proxy = http_client.proxies_for(url, proxies).get(url.partition(":")[0])
        return (lambda places, end: proxy_tunnel.connect(proxy, places, end)) if proxy else transport_socket.first


def current() -> Rules:
    """Return the rules of this moment. One query."""
    part, proxies = registry.configured_together("callbacks", "proxies")
    entries = part["allowed"] if part else []
    return Rules(parse([*settings.CALLBACK_ALLOWED_NETWORKS, *entries]), part, proxies)
