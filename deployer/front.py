"""The web process's threads, which answer also what is no request at all in the API's form."""
import json
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker

from access.problems import Problem

DOCS = "/api/v1/docs/errors"  # as in microservice/api/answers.py, which is for requests that could be read


class Worker(ThreadWorker):
    """gunicorn's threads; what its parser refuses gets application/problem+json instead of an HTML page."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)  # nothing of it is told but that it went wrong
            return
        self.log.warning("a request of %s could not be read: %s", (addr or ("", 0))[0], type(exc).__name__)
        try:
            util.write_nonblock(client, answer(problem_of(exc)))
        except OSError:  # it has gone
            self.log.debug("nobody was there to be told")


class AccessLog(Logger):
    """gunicorn's log; lines about requests name the client instead of the proxy in front of us."""

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        from access.address import address_of  # not above: gunicorn's own process loads this file, and no Django

        return super().atoms(resp, req, environ, request_time) | {"h": address_of(environ) or "-"}


def problem_of(error: Exception) -> Problem:
    if isinstance(error, LimitRequestLine):
        return Problem(414, "uri_too_long", "The address is too long.", "Send less in the query.")
    if isinstance(error, LimitRequestHeaders):
        return Problem(431, "headers_too_large", "The headers are too many or too long.", "Send fewer.")
    return Problem(400, "bad_request", "The request cannot be read.", "Look at its first line and its headers.")


def answer(problem: Problem) -> bytes:
    status = HTTPStatus(problem.status)
    body = json.dumps({
        "type": f"{DOCS}#{problem.code}", "title": status.phrase, "status": problem.status, "detail": problem.detail,
        "code": problem.code, "msg": problem.detail, "errors": [], "hint": problem.hint,
    }).encode()
    head = (f"HTTP/1.1 {problem.status} {status.phrase}\r\nConnection: close\r\nCache-Control: no-store\r\n"
            f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body
