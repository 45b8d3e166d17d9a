"""Turns every error under /api/ into `application/problem+json` (RFC 9457). No other module does."""

import json
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as ModelError
from django.db import Error, IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from ninja.errors import HttpError
from ninja.errors import ValidationError as RequestError

from access.problem_codes import CODES
from access.problems import FieldError, Problem, invalid_fields, refused
from access.request_id import request_id_of
from messages import Message
from messages.invalid import InvalidValue
from messages.rendering import literal
from runtime.database_errors import is_away

from . import problem_json

log = logging.getLogger(__name__)


def from_exception(request: HttpRequest, error: BaseException) -> HttpResponse:
    """Return the answer to a request that ended in `error`. An unexpected error is logged, and answered without
    details."""
    problem = _problem(error, getattr(request, "parsed_body", None))
    if problem is None:
        request_id = request_id_of(request)
        log.error("request %s: %s %s failed", request_id, request.method, request.path, exc_info=error)
        problem = refused("internal_error", request_id=request_id)
    return answer(request, problem)


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return `problem` as application/problem+json."""
    body = json.dumps(problem_json.document(problem, request_id_of(request)))
    response = HttpResponse(
        body, status=problem.status, content_type=problem_json.CONTENT_TYPE, headers=problem.headers
    )
    response["Cache-Control"] = "no-store"
    response.reason_code = problem.code  # type: ignore[attr-defined]  # for the log: access/security_log.py
    return response


def errors_page(request: HttpRequest) -> HttpResponse:
    """Show every code with its meaning: the page to which a problem's `type` leads."""
    return render(request, "api_errors.html", {"codes": sorted(CODES.items())})


def no_such_path(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Answer 404 for an address under /api/ that does not exist."""
    return answer(request, refused("not_found.address"))


no_such_path.csrf_exempt = True  # type: ignore[attr-defined]  # it does nothing, so no token has to be read


def problem_from_fields(error: ModelError) -> Problem:
    """Return a model's validation error as 422, with a pointer for each field."""
    errors = [
        _field_error("/" + name.replace("__all__", ""), str(reason))
        for name, reasons in error.message_dict.items()
        for reason in reasons
    ]
    return invalid_fields(errors)


class ProblemsOnlyMiddleware:
    """Under /api/, answers Django's own HTML errors (for a wrong Host header, say) as problems."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        kind = response.get("Content-Type", "")
        if request.path_info.startswith("/api/") and response.status_code >= 400 and kind.startswith("text/html"):
            return answer(request, _by_status(response.status_code))
        return response


def _problem(error: BaseException, body: Any) -> Problem | None:
    match error:
        case Problem():
            return error
        case RequestError():
            return _request_problem(error.errors, body)
        case ModelError() if hasattr(error, "error_dict"):
            return problem_from_fields(error)
        case HttpError():
            if isinstance(error.__cause__, Problem):  # ninja wraps what the parser raised
                return error.__cause__
            return _by_status(error.status_code, str(error))
        case Http404():
            return refused("not_found.address")
        case PermissionDenied():
            return refused("forbidden")
        case RequestDataTooBig():
            return refused("too_large")
        case UnreadablePostError():
            return refused("incomplete")
        case SuspiciousOperation():
            return refused("bad_request")
        case IntegrityError():  # two requests raced, and a constraint of the database decided
            return refused("concurrent_update")
        case Error() if is_away(error):
            log.error("the database did not answer", exc_info=error)
            return refused("unavailable", headers={"Retry-After": "2"})
    return None


def _by_status(number: int, detail: str = "") -> Problem:
    """Return a problem for what Django or ninja refused with a status alone."""
    status = HTTPStatus(number)
    problem = Problem(status, literal(detail or f"{status.phrase}."))
    problem.code = status.name.lower()
    return problem


def _request_problem(entries: Iterable[dict[str, Any]], body: Any) -> Problem:
    """Return ninja's errors about a request with this body as 422."""
    errors = _most_exact([_request_error(entry, body) for entry in entries]) or [FieldError("", "not_valid")]
    if any(error.pointer == "/file_path" for error in errors):  # older clients may still send it
        return Problem(422, Message("invalid.file_path"), errors=errors)
    return invalid_fields(errors)


def _request_error(entry: dict[str, Any], body: Any) -> FieldError:
    """Return one of ninja's errors with a pointer: into the body, or /query/name, /path/name."""
    source, *place = entry["loc"]
    # Where the body is one argument, its place begins with the argument's name.
    place = _within(body, place[1:], entry["type"]) if source == "body" else [source, *place]
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
    error = entry.get("ctx", {}).get("error")
    if isinstance(error, InvalidValue):  # raised by a validator of our own
        return FieldError(pointer, error.reason)
    return _field_error(pointer, str(entry["msg"]).removeprefix("Value error, "), str(entry.get("type", "")))


def _most_exact(errors: list[FieldError]) -> list[FieldError]:
    """Leave out that a list is not a text, where something is said of one of its items."""
    inner = {error.pointer.rpartition("/")[0] for error in errors}
    return [error for error in errors if not error.pointer or error.pointer not in inner]


def _within(body: Any, place: Iterable[str | int], kind: str) -> list[str | int]:
    """Return the part of pydantic's place that is one in the body: it also names the types that it tried on a value. A
    form has no types to try: its place is right."""
    if body is None:
        return list(place)
    found: list[str | int] = []
    for part in place:
        if (isinstance(body, dict) and part in body) or (isinstance(body, list) and isinstance(part, int)):
            body = body[part]  # type: ignore[index]
        elif not (isinstance(body, dict) and kind == "missing"):
            continue
        found.append(part)
    return found


def _field_error(pointer: str, reason: str, kind: str = "") -> FieldError:
    """Return a library's own reason. `kind`: its word for it, which goes into the parameters."""
    return FieldError(pointer, Message("not_valid.reason", {"reason": reason, "kind": kind}))
