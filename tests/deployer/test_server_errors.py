"""The response to a request that fails in the server: a page or a problem document; 503 if the database is away."""

import re

import pytest
from django.db import InternalError, OperationalError, ProgrammingError
from django.test import RequestFactory
from psycopg import errors

from deployer.urls import handler500
from runtime.database_errors import is_away, is_held

pytestmark = [pytest.mark.pure, pytest.mark.found("away")]


def caused(kind, by) -> Exception:
    error = kind("x")
    error.__cause__ = by
    return error


def answer(method: str, path: str, error: Exception, **headers):
    try:
        raise error
    except Exception:  # noqa: BLE001 - as Django calls it, while it is being handled
        return handler500(RequestFactory().generic(method, path, headers=headers))


def test_page_reloads_and_form_does_not():
    page = answer("GET", "/hosts/?q=<x>", OperationalError("canary"))
    assert page.status_code == 503 and page["Retry-After"] == "3"
    assert b'http-equiv="refresh"' in page.content and b"canary" not in page.content and b"<x>" not in page.content
    form = answer("POST", "/hosts/", OperationalError("canary"))
    assert (
        form.status_code == 503 and b'http-equiv="refresh"' not in form.content and b"submit it again" in form.content
    )


def test_htmx_fragment_is_not_swapped():
    assert answer("GET", "/hosts/", OperationalError("x"), **{"HX-Request": "true"})["HX-Reswap"] == "none"


def test_api_returns_problem_document():
    response = answer("GET", "/api/v1/hosts/", OperationalError("x"))
    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert response["Retry-After"]


def test_other_error_names_the_request():
    page = answer("GET", "/hosts/", ValueError("canary"))
    assert page.status_code == 500 and b"canary" not in page.content
    assert re.search(rb"Give this request ID to an administrator: \w", page.content)


def test_recognizes_database_away_and_locked():
    assert is_away(OperationalError("server closed the connection"))
    assert is_away(caused(InternalError, errors.ReadOnlySqlTransaction()))
    assert is_away(caused(InternalError, errors.IdleInTransactionSessionTimeout()))
    assert not is_away(caused(ProgrammingError, errors.UndefinedTable())) and not is_away(ValueError())
    assert is_held(caused(OperationalError, errors.LockNotAvailable())) and not is_held(OperationalError())
