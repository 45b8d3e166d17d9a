"""The private parts of django-ninja that the API uses: docs/decisions/0030-private-parts-of-ninja.md."""

import ast
from pathlib import Path

import pytest
from ninja import NinjaAPI
from ninja.operation import Operation

from api.v1 import api

pytestmark = pytest.mark.pure

ROOT = Path(__file__).resolve().parents[2]
USERS = {"api/routes.py", "api/dispatch.py", "api/openapi.py"}


def test_ninja_still_has_the_parts():
    assert callable(NinjaAPI._get_urls) and callable(NinjaAPI._get_bound_routers) and callable(Operation.run)
    operations = [operation for methods in api.operations_by_route().values() for operation in methods.values()]
    sources = {model.__ninja_param_source__ for operation in operations for model in operation.models}
    assert sources >= {"path", "query", "body"}


def test_only_three_modules_use_them():
    users = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "api").rglob("*.py")
        if any(
            isinstance(node, ast.ImportFrom) and (node.module or "") in ("ninja.operation", "ninja.openapi.urls")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert users <= USERS
