"""The line to a build server: TLS and proxies as the settings name them, all of it bounded in bytes and in time."""

import ssl
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import BaseAdapter

from integrations import http_client

TIMEOUT = 8  # seconds of one exchange, from the first packet to the last byte of the answer


@dataclass(frozen=True)
class Line:
    """`context`: None is what the system trusts. `proxies`: {scheme: address}; the environment's are not used."""

    context: ssl.SSLContext | None = None
    proxies: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, part: dict[str, Any], proxies: dict[str, Any] | None) -> "Line":
        return cls(http_client.tls(part), http_client.proxies_for(part["url"], proxies))

    def ask(self, url: str, body: bytes | None, headers: dict[str, str]) -> http_client.Reply:
        """Raises http_client.Unreachable."""
        return http_client.exchange(
            url,
            method="GET" if body is None else "POST",
            body=body,
            headers=headers,
            context=self.context,
            proxies=self.proxies,
            timeout=TIMEOUT,
        )

    def session(self, url: str) -> requests.Session:
        """For a library that speaks through `requests`. It reaches what lies below `url`, and nothing else: a server
        that names another address, for the next page say, gets the token sent nowhere."""
        session = requests.Session()
        session.trust_env = False
        session.adapters.clear()
        session.mount(url.rstrip("/") + "/", _Adapter(self))
        return session


DIRECT = Line()


class _Adapter(BaseAdapter):
    """Sends what `requests` prepared by `http_client.exchange`, which bounds it."""

    def __init__(self, line: Line):
        super().__init__()
        self._line = line

    def send(self, request, *_args, **_more):
        body = request.body.encode() if isinstance(request.body, str) else request.body
        try:
            reply = http_client.exchange(
                request.url,
                method=request.method,
                body=body,
                headers=dict(request.headers) | {"Accept-Encoding": "identity"},
                context=self._line.context,
                proxies=self._line.proxies,
                timeout=TIMEOUT,
            )
        except http_client.Unreachable as error:
            kind = requests.ReadTimeout if error.sent else requests.ConnectTimeout
            raise kind(str(error)) from error
        answer = requests.Response()
        answer.status_code, answer._content, answer.request, answer.url = reply.status, reply.body, request, request.url
        # No Location: a redirect is an answer like any other, and followed by nobody.
        answer.headers.update({name: value for name, value in reply.headers.items() if name != "location"})
        return answer

    def close(self):
        pass
