"""The line to a build server: TLS and proxies as the settings name them, for `requests` and for `urllib`."""
import ssl
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from outside import fetch


@dataclass(frozen=True)
class Line:
    """`context`: None is what the system trusts. `proxies`: {scheme: address}; the environment's are not used."""

    context: ssl.SSLContext | None = None
    proxies: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, part: dict[str, Any], proxies: dict[str, Any] | None) -> "Line":
        return cls(fetch.tls(part), fetch.proxies_for(part["url"], proxies))

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.proxies = dict(self.proxies)
        if self.context is not None:
            session.mount("https://", _Adapter(self.context))
        return session


DIRECT = Line()


class _Adapter(HTTPAdapter):
    """Leaves TLS to one context: `requests` would add its own list of CAs to the one that was given."""

    def __init__(self, context: ssl.SSLContext):
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args, **more):
        return super().init_poolmanager(*args, ssl_context=self._context, **more)

    def proxy_manager_for(self, *args, **more):
        return super().proxy_manager_for(*args, ssl_context=self._context, **more)

    def build_connection_pool_key_attributes(self, request, verify, cert=None):
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}

    def cert_verify(self, conn, url, verify, cert):
        pass
