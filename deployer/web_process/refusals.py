"""What the web process answers by itself, in the API's form: to what is no request, or where none has a turn."""

import json
from http import HTTPStatus

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine

from access.problems import Problem

DOCS = "/api/v1/docs/errors"  # as in api/errors.py, which is for requests that could be read
TOO_SLOW = Problem(408, "too_slow", "The request took too long to arrive.", "Send it again, faster.")
BUSY = Problem(
    503,
    "busy",
    "As many large requests are under way as this server takes at once.",
    "Come back later.",
    headers={"Retry-After": "10"},
)
TOO_MANY_CONNECTIONS = Problem(
    429,
    "too_many_connections",
    "Your address has too many connections open.",
    "Close some of them.",
    headers={"Retry-After": "10"},
)


def problem_of(error: Exception) -> Problem:
    if isinstance(error, LimitRequestLine):
        return Problem(414, "uri_too_long", "The address is too long.", "Send less in the query.")
    if isinstance(error, LimitRequestHeaders):
        return Problem(431, "headers_too_large", "The headers are too many or too long.", "Send fewer.")
    return Problem(400, "bad_request", "The request cannot be read.", "Look at its first line and its headers.")


def answer(problem: Problem) -> bytes:
    status = HTTPStatus(problem.status)
    body = json.dumps(
        {
            "type": f"{DOCS}#{problem.code}",
            "title": status.phrase,
            "status": problem.status,
            "detail": problem.detail,
            "code": problem.code,
            "msg": problem.detail,
            "errors": [],
            "hint": problem.hint,
        }
    ).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
    head = (
        f"HTTP/1.1 {problem.status} {status.phrase}\r\nConnection: close\r\nCache-Control: no-store\r\n{more}"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
