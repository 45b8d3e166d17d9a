"""Completes the OpenAPI document: the refusals of every endpoint, headers and examples."""

import re
from typing import Any

from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from access.problem_codes import CODES

from . import openapi_examples, openapi_links, uploads
from .auth import needs_of
from .schemas.base import Problem

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
EVERYWHERE = (400, 401, 403, 404, 405, 413, 414, 422, 429, 431, 503)
DESCRIPTIONS = {
    400: "The request cannot be read",
    401: "Not authenticated",
    403: "The right is missing",
    404: "Not found, or not visible to you",
    405: "Method not allowed",
    409: "Conflict with the current state",
    413: "The body is too large",
    414: "The address is too long",
    415: "Unsupported content type",
    416: "Range not satisfiable",
    422: "Well formed, but invalid",
    429: "Too many requests",
    431: "The headers are too many or too long",
    503: "Not available now: see Retry-After",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 visible ASCII characters. For 24 hours, an equal request with the same key gets the "
    "stored answer and is not carried out again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def completed(schema: OpenAPISchema, routes: dict[str, dict[str, Operation]]) -> OpenAPISchema:
    """Complete the schema that ninja made, in place, and return it."""
    schema["components"].setdefault("schemas", {}).update(_problem())
    schema["components"]["responses"] = {str(status): _refusal(status) for status in DESCRIPTIONS}
    by_path = {_shape("/api/v1/" + route): found for route, found in routes.items()}
    for path, methods in schema["paths"].items():
        for method, operation_object in methods.items():
            _complete(operation_object, method, path, by_path[_shape(path)][method.upper()])
    openapi_links.add(schema["paths"])
    for name, example in openapi_examples.SCHEMAS.items():
        if name in schema["components"]["schemas"]:
            schema["components"]["schemas"][name]["examples"] = [example]
    return schema


def _complete(operation_object: dict[str, Any], method: str, path: str, operation: Operation) -> None:
    responses = operation_object["responses"]
    statuses = set(EVERYWHERE)
    if method != "get":
        statuses |= {409, 415}
    if path.endswith("/log"):
        statuses.add(416)
        responses[206] = {"description": "The bytes of the range", **_content(responses, 200)}
    if path.endswith("/events"):
        responses[204] = {"description": "The deployment has ended, and there is no event after that id"}
    for status in sorted(statuses):
        responses.setdefault(status, {"$ref": f"#/components/responses/{status}"})
    operation_object["responses"] = {str(status): responses[status] for status in sorted(responses, key=int)}
    for status_text in ("201", "202"):
        if status_text in operation_object["responses"]:
            operation_object["responses"][status_text]["headers"] = {
                "Location": {"schema": {"type": "string"}, "required": False}
            }
    terms = needs_of(operation.view_func)
    needed = "Needs a signature instead of a caller." if terms.signed else f"Needs the right `{terms.scope}`."
    operation_object["description"] = f"{operation_object.get('description', '')}\n\n{needed}".strip()
    if method == "post" and not terms.streams and not terms.signed:
        operation_object.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    if terms.form:
        operation_object["requestBody"]["content"].setdefault(uploads.FORM, {})


def _content(responses: dict, status: int) -> dict[str, Any]:
    return {"content": responses[status]["content"]} if "content" in responses[status] else {}


def _refusal(status: int) -> dict[str, Any]:
    codes = [code for code, known in CODES.items() if known.status == status]
    return {"description": f"{DESCRIPTIONS[status]}: {', '.join(codes)}", "content": PROBLEM}


def _shape(path: str) -> str:
    return re.sub(r"[<{][^<{>}]*[>}]", "{}", path.rstrip("/"))


def _problem() -> dict[str, Any]:
    """Return the schemas of a problem and its parts, by name."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schema["examples"] = [openapi_examples.PROBLEM]
    return {**schema.pop("$defs"), "Problem": schema}
