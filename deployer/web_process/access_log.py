"""The access log, written if ACCESS_LOG is set."""

from typing import Any

from gunicorn.glogging import Logger

from access.client_ip import address_of


class AccessLog(Logger):
    """gunicorn's logger, with the client's address in the access log instead of the proxy's."""

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        return super().atoms(resp, req, environ, request_time) | {"h": address_of(environ) or "-"}
