"""A refusal as the JSON document of RFC 9457. Pure: it needs no request, so the web process uses it too."""

from http import HTTPStatus
from typing import Any

from django.utils import translation

from access.problem_codes import CODES
from access.problems import Problem
from messages.rendering import ENGLISH

CONTENT_TYPE = "application/problem+json"
DOCS = "/api/v1/docs/errors"  # with "#" and the code: the problem's type


def document(problem: Problem, request_id: str = "") -> dict[str, Any]:
    """Return the problem's members. Sentences are English; `code` and `params` let clients write their own."""
    with translation.override(ENGLISH):
        return {
            "type": f"{DOCS}#{problem.code}" if problem.code in CODES else DOCS,
            "title": HTTPStatus(problem.status).phrase,
            "status": problem.status,
            "detail": problem.detail,
            "code": problem.code,
            "msg": problem.detail,
            "errors": problem.errors,
            "hint": problem.hint,
            "params": problem.params,
            "request_id": request_id,
        }
