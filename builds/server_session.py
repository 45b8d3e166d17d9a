"""HTTP to a build server, with the configured TLS and proxies, bounded in bytes and in time."""

import ssl
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import BaseAdapter

from integrations import http_client

TIMEOUT = 8  # seconds of one exchange, from the first packet to the last byte of the answer


@dataclass(frozen=True)
class ServerSession:
    """`context`: None trusts the system's CAs. `proxies`: {scheme: URL}; those of the environment are not used."""

    context: ssl.SSLContext | None = None
    proxies: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, part: dict[str, Any], proxies: dict[str, Any] | None) -> "ServerSession":
        return cls(http_client.tls(part), http_client.proxies_for(part["url"], proxies))

    def exchange(self, url: str, body: bytes | None, headers: dict[str, str]) -> http_client.Reply:
        """Send a request (POST if there is a body). Raise http_client.Unreachable."""
        return http_client.exchange(
            url,
            method="GET" if body is None else "POST",
            body=body,
            headers=headers,
            context=self.context,
            proxies=self.proxies,
            timeout=TIMEOUT,
        )

    def requests_session(self, url: str) -> requests.Session:
        """Return a session for libraries that use `requests`. It reaches only URLs below `url`: the token goes nowhere
        else, whatever server an answer names (as the next page, for example)."""
        session = requests.Session()
        session.trust_env = False
        session.adapters.clear()
        session.mount(url.rstrip("/") + "/", _Adapter(self))
        return session


DIRECT = ServerSession()


class _Adapter(BaseAdapter):
    """Send prepared requests with `http_client.exchange`, which bounds them."""

    def __init__(self, session: ServerSession):
        super().__init__()
        self._session = session

    def send(self, request: Any, *_args: object, **_more: object) -> requests.Response:
        # `request` is a PreparedRequest: its fields are optional only before it is prepared.
        body = request.body.encode() if isinstance(request.body, str) else request.body
        try:
            reply = http_client.exchange(
                request.url,
                method=request.method,
                body=body,
                headers=dict(request.headers) | {"Accept-Encoding": "identity"},
                context=self._session.context,
                proxies=self._session.proxies,
                timeout=TIMEOUT,
            )
        except http_client.Unreachable as error:
            kind = requests.ReadTimeout if error.sent else requests.ConnectTimeout
            raise kind(str(error)) from error
        answer = requests.Response()
        answer.status_code, answer._content, answer.request, answer.url = reply.status, reply.body, request, request.url
        # No Location header: redirects are never followed.
        answer.headers.update({name: value for name, value in reply.headers.items() if name != "location"})
        return answer

    def close(self) -> None:
        pass
