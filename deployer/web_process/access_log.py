"""gunicorn's lines about requests, where ACCESS_LOG asks for them."""

from typing import Any

from gunicorn.glogging import Logger

from access.client_ip import address_of


class AccessLog(Logger):
    """gunicorn's log; lines about requests name the client instead of the proxy in front of us."""

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        return super().atoms(resp, req, environ, request_time) | {"h": address_of(environ) or "-"}
