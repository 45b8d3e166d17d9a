"""What /api/v1/openapi.json says beyond the shapes: every refusal an endpoint can answer with, headers, examples."""

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
MEANS = {
    400: "The request cannot be read",
    401: "Nobody was recognised",
    403: "The right is lacking",
    404: "Not there, or not to be seen",
    405: "Not this method",
    409: "A state is in the way",
    413: "The body is too large",
    414: "The address is too long",
    415: "Not a body of this type",
    416: "No byte in that range",
    422: "Well formed and wrong",
    429: "Too many attempts lately",
    431: "The headers are too many or too long",
    503: "Not now: come back as Retry-After says",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 255 visible ASCII characters. The same key with the same request is done once and answered "
    "twice with the same bytes, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def completed(schema: OpenAPISchema, routes: dict[str, dict[str, Operation]]) -> OpenAPISchema:
    """`schema` as ninja made it, completed in place."""
    schema["components"].setdefault("schemas", {}).update(_problem())
    schema["components"]["responses"] = {str(status): _refusal(status) for status in MEANS}
    by_path = {_shape("/api/v1/" + route): found for route, found in routes.items()}
    for path, methods in schema["paths"].items():
        for method, told in methods.items():
            _complete(told, method, path, by_path[_shape(path)][method.upper()])
    openapi_links.add(schema["paths"])
    for name, example in openapi_examples.SCHEMAS.items():
        if name in schema["components"]["schemas"]:
            schema["components"]["schemas"][name]["examples"] = [example]
    return schema


def _complete(told: dict[str, Any], method: str, path: str, operation: Operation) -> None:
    responses = told["responses"]
    statuses = set(EVERYWHERE)
    if method != "get":
        statuses |= {409, 415}
    if path.endswith("/log"):
        statuses.add(416)
        responses[206] = {"description": "The bytes of the range", **_content(responses, 200)}
    if path.endswith("/events"):
        responses[204] = {"description": "It has ended, and nothing came after that id"}
    for status in sorted(statuses):
        responses.setdefault(status, {"$ref": f"#/components/responses/{status}"})
    told["responses"] = {str(status): responses[status] for status in sorted(responses, key=int)}
    for made in ("201", "202"):
        if made in told["responses"]:
            told["responses"][made]["headers"] = {"Location": {"schema": {"type": "string"}, "required": False}}
    terms = needs_of(operation.view_func)
    needed = "Needs a signature, and no caller." if terms.signed else f"Needs the right `{terms.scope}`."
    told["description"] = f"{told.get('description', '')}\n\n{needed}".strip()
    if method == "post" and not terms.streams and not terms.signed:
        told.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    if terms.form:
        told["requestBody"]["content"].setdefault(uploads.FORM, {})


def _content(responses: dict, status: int) -> dict[str, Any]:
    return {"content": responses[status]["content"]} if "content" in responses[status] else {}


def _refusal(status: int) -> dict[str, Any]:
    codes = [code for code, known in CODES.items() if known.status == status]
    return {"description": f"{MEANS[status]}: {', '.join(codes)}", "content": PROBLEM}


def _shape(path: str) -> str:
    return re.sub(r"[<{][^<{>}]*[>}]", "{}", path.rstrip("/"))


def _problem() -> dict[str, Any]:
    """The schema of every refusal, and of what is inside it, by name."""
    made = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    made["examples"] = [openapi_examples.PROBLEM]
    return {**made.pop("$defs"), "Problem": made}
