"""What the web process refuses by itself: what is not a request, and requests for which it has no room."""

import json
from http import HTTPStatus

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine

from access.problems import Problem, refused
from api import problem_json

TOO_SLOW = refused("too_slow")
BUSY = refused("busy", headers={"Retry-After": "10"})
TOO_MANY_CONNECTIONS = refused("too_many_connections", headers={"Retry-After": "10"})


def problem_of(error: Exception) -> Problem:
    """Return the refusal for an error of gunicorn's parser."""
    if isinstance(error, LimitRequestLine):
        return refused("uri_too_long")
    if isinstance(error, LimitRequestHeaders):
        return refused("headers_too_large")
    return refused("bad_request")


def answer(problem: Problem) -> bytes:
    """Return the whole HTTP response; it closes the connection."""
    status = HTTPStatus(problem.status)
    body = json.dumps(problem_json.document(problem)).encode()
    headers = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
    head = (
        f"HTTP/1.1 {problem.status} {status.phrase}\r\nConnection: close\r\nCache-Control: no-store\r\n{headers}"
        f"Content-Type: {problem_json.CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
