"""Turns whatever goes wrong under /api/ into `application/problem+json` (RFC 9457). The only place that does."""

import json
import logging
from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as ModelError
from django.db import Error, IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from ninja.errors import HttpError
from ninja.errors import ValidationError as RequestError

from access.model_errors import field_errors
from access.problem_codes import CODES
from access.problems import Problem, conflict, forbidden, invalid_fields
from access.request_id import request_id_of
from runtime.database_errors import is_away

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
DOCS = "/api/v1/docs/errors"  # with "#" and the code after it: the problem's type


def from_exception(request: HttpRequest, error: BaseException) -> HttpResponse:
    """The answer to a request that ended in `error`. What nobody foresaw is logged, and told without details."""
    problem = _problem(error)
    if problem is None:
        log.error("request %s: %s %s failed", request_id_of(request), request.method, request.path, exc_info=error)
        problem = Problem(
            500,
            "internal_error",
            "Something went wrong here; it is not your request.",
            f"Tell an administrator this request's id: {request_id_of(request)}",
        )
    return answer(request, problem)


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """`problem` as application/problem+json."""
    body = {
        "type": f"{DOCS}#{problem.code}" if problem.code in CODES else DOCS,
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "msg": problem.detail,
        "errors": problem.errors,
        "hint": problem.hint,
        "params": problem.params,
        "request_id": request_id_of(request),
    }
    response = HttpResponse(json.dumps(body), status=problem.status, content_type=PROBLEM_JSON, headers=problem.headers)
    response["Cache-Control"] = "no-store"
    response.reason_code = problem.code  # type: ignore[attr-defined]  # for the log: access/security_log.py
    return response


def errors_page(request: HttpRequest) -> HttpResponse:
    """Every code with what it means: what the `type` of a problem leads to."""
    return render(request, "api_errors.html", {"codes": sorted(CODES.items())})


def no_such_path(request: HttpRequest, rest: str = "") -> HttpResponse:
    """404 for an address under /api/ that does not exist."""
    return answer(request, _no_address())


no_such_path.csrf_exempt = True  # type: ignore[attr-defined]  # nothing happens there, so no body is read for a token


class ProblemsOnlyMiddleware:
    """Under /api/, also what Django itself answers (a wrong Host header, say) is a problem and no HTML page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        kind = response.get("Content-Type", "")
        if request.path_info.startswith("/api/") and response.status_code >= 400 and kind.startswith("text/html"):
            status = HTTPStatus(response.status_code)
            return answer(request, Problem(status, status.name.lower(), f"{status.phrase}."))
        return response


def _no_address() -> Problem:
    return Problem(404, "not_found", "There is nothing at this address.", "See /api/v1/docs for what there is.")


def _problem(error: BaseException) -> Problem | None:
    match error:
        case Problem():
            return error
        case RequestError():
            return _not_any_more(_invalid([_request_error(entry) for entry in error.errors]))
        case ModelError() if hasattr(error, "error_dict"):
            return invalid_fields(field_errors(error))
        case HttpError():
            if isinstance(error.__cause__, Problem):  # ninja wraps what the parser raised
                return error.__cause__
            return Problem(error.status_code, HTTPStatus(error.status_code).name.lower(), str(error))
        case Http404():
            return _no_address()
        case PermissionDenied():
            return forbidden("You may not do this.")
        case RequestDataTooBig():
            return Problem(413, "too_large", "The body is too large.", "A package is sent with PUT to …/package.")
        case UnreadablePostError():
            return Problem(400, "incomplete", "The request ended before its body did.")
        case SuspiciousOperation():
            return Problem(400, "bad_request", "The request cannot be read.")
        case IntegrityError():
            # Two requests raced, and a constraint of the database decided.
            return conflict(
                "concurrent_update", "Another request changed the same thing at the same moment.", "Look again."
            )
        case Error() if is_away(error):
            log.error("the database did not answer", exc_info=error)
            return Problem(
                503,
                "unavailable",
                "The database does not answer at the moment.",
                "Try again in a moment.",
                headers={"Retry-After": "2"},
            )
    return None


def _invalid(errors: list[dict]) -> Problem:
    first = errors[0] if errors else {"pointer": "", "reason": "is not valid"}
    where = first["pointer"].lstrip("/").replace("/", ".") or "the request"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(422, "invalid", f"{where}: {first['reason']}{more}", errors=errors)


def _not_any_more(problem: Problem) -> Problem:
    """Names what takes the place of a field that clients from before may still send."""
    if any(error["pointer"] == "/file_path" for error in problem.errors):
        hint = "No field names an object in the store: publish the package with PUT to …/package."
        return Problem(problem.status, problem.code, problem.detail, hint, problem.field_errors)
    return problem


def _request_error(entry: dict) -> dict:
    """One of ninja's errors as a pointer: into the body, or /query/name, /path/name."""
    source, *place = entry["loc"]
    # A body that is one argument has the argument's name first in its place.
    place = place[1:] if source == "body" else [source, *place]
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
    return {"pointer": pointer, "reason": str(entry["msg"]).removeprefix("Value error, ")}
