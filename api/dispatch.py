"""The path of every request to the API: method, caller, right, content type, then the endpoint."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja.operation import Operation

from access.authentication import caller_of
from access.callers import Caller
from access.problems import Problem, refused, unauthorized
from access.request_id import request_id_of

from . import errors, idempotency, parsing, uploads
from .auth import Needs, needs_of

JSON = "application/json"


def enter(request: HttpRequest, operations: dict[str, Operation], names: dict) -> HttpResponseBase:
    """Answer a request to an address that has `operations`, {method: operation}. Never raises."""
    try:
        response = _answer(request, operations, names)
    except Exception as error:  # noqa: BLE001 - every error under /api/ is answered as a problem
        response = errors.from_exception(request, error)
    response["X-Request-ID"] = request_id_of(request)
    if "Cache-Control" not in response:
        response["Cache-Control"] = "no-store"
    return response


def _answer(request: HttpRequest, operations: dict[str, Operation], names: dict) -> HttpResponseBase:
    operation = operations.get(request.method or "")
    if operation is None:
        allowed = ", ".join(sorted(operations))
        raise refused("method_not_allowed", headers={"Allow": allowed}, method=request.method, allowed=allowed)
    terms = needs_of(operation.view_func)
    if terms.signed:
        request.caller = Caller(name="signed")  # type: ignore[attr-defined]  # without any right: ninja requires a caller
        return operation.run(request, **names)
    caller = caller_of(request)
    if caller is None:
        raise unauthorized()
    request.caller = caller  # type: ignore[attr-defined]
    if not terms.admits(caller):
        raise _not_admitted(caller, terms)
    if not terms.streams:
        uploads.read_chunks(request)
    as_form = terms.form and request.content_type == uploads.FORM
    if as_form:
        with uploads.turn(caller):
            uploads.read_form(request)
    elif not terms.streams:
        _check_content_type(request, operation)
    if any("\0" in str(value) for value in names.values()):
        raise refused("not_found.address")
    if request.method == "POST" and not terms.streams:
        outside = terms.outside or as_form or parsing.has_field(request, terms.outside_with)
        return idempotency.once(request, caller, lambda: operation.run(request, **names), outside=outside)
    return operation.run(request, **names)


def _not_admitted(caller: Caller, terms: Needs) -> Problem:
    if caller.services and terms.bound:
        return refused("forbidden.bound_token")
    return refused("forbidden.scope", scope=terms.scope)


def _check_content_type(request: HttpRequest, operation: Operation) -> None:
    """Raise 415 for a body that is not JSON, where the endpoint reads one. A request without a body needs no type."""
    reads_json = any(model.__ninja_param_source__ == "body" for model in operation.models)
    if reads_json and request.content_type != JSON and request.META.get("CONTENT_LENGTH") not in (None, "", "0"):
        sent = request.content_type or "without a type"
        raise refused("unsupported_media_type", headers={"Accept": JSON}, type=JSON, sent=sent)
