"""Every error under /api/ is one kind of answer: application/problem+json."""

import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, OperationalError
from django.test import Client
from django.urls import resolve

from api.auth import needs_of
from api.v1 import api as the_api
from microservice import catalog
from tests import factories
from tests.api.client import Api, person

pytestmark = pytest.mark.django_db

FIELDS = {"type", "title", "status", "detail", "code", "msg", "errors", "hint", "params"}


def problem(answer, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert set(body) >= FIELDS
    assert (body["status"], body["code"], body["msg"]) == (status, code, body["detail"])
    assert all(set(error) == {"pointer", "reason", "code", "params"} for error in body["errors"])
    assert answer["X-Request-ID"] == body["request_id"]
    return body


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1/",
        "/api/v1/nosuch",
        "/api/v2/services/",
        "/api/v1/services//",
        "/api/v1/../admin",
        "/api/v1/%00",
        "/api/v1/services/a/b/c/d",
    ],
)
def test_unknown_addresses(client, path):
    problem(client.get(path), 404, "not_found")


def test_405_names_the_allowed_methods(api):
    answer = api().send("DELETE", "/services/")
    problem(answer, 405, "method_not_allowed")
    assert answer["Allow"] == "GET, POST"
    for method in ("OPTIONS", "TRACE", "BREW"):
        problem(api().send(method, "/services/"), 405, "method_not_allowed")


def test_refuses_anonymous_callers(db):
    answer = Api().get("/services/")
    problem(answer, 401, "unauthorized")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff",
        b"{'a': 1}",
        b'{"a": NaN}',
        b"[" * 100_000,
        b"nonsense",
        b'{"a":1}x',
        b"1" * 5000,
        '{"name": "x"}'.encode("utf-16"),
    ],
)
def test_rejects_a_body_that_is_not_json(api, body):
    answer = api().post("/services/", body)
    if body == b"":
        problem(answer, 422, "invalid")
    else:
        problem(answer, 400, "not_json")


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"true", b'[{"name": "x"}]'])
def test_rejects_json_that_is_not_an_object(api, body):
    problem(api().post("/services/", body), 422, "invalid")


@pytest.mark.parametrize(
    "text",
    [
        rb'{"name": "a\u0000"}',
        rb'{"name": "\ud800"}',
        rb'{"\ud800": 1}',
        rb'{"a\u0000": 1}',
        rb'{"name": "x", "environment": {"a": {"b": ["\u0000"]}}}',
    ],
)
def test_rejects_text_that_databases_refuse(api, text):
    problem(api().post("/services/", text), 422, "invalid")


def test_points_at_the_error(api):
    body = problem(api().post("/services/", rb'{"name": "x", "environment": {"a/b~": "\u0000"}}'), 422, "invalid")
    assert body["errors"] == [
        {"pointer": "/environment/a~1b~0", "reason": "must not contain NUL", "code": "nul", "params": {}}
    ]
    body = problem(api().post("/services/", {}), 422, "invalid")
    assert body["errors"][0]["pointer"] == "/name"
    body = problem(api().get("/services/?limit=x"), 422, "invalid")
    assert body["errors"][0]["pointer"] == "/query/limit"
    body = problem(api().get("/services/x/versions/y"), 422, "invalid")
    assert body["errors"][0]["pointer"] == "/path/id"


def test_names_every_error_at_once(api):
    body = problem(api().post("/services/", {"name": "-", "language": "x", "check_timeout": 0}), 422, "invalid")
    assert {error["pointer"] for error in body["errors"]} == {"/name", "/language", "/check_timeout"}


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ],
)
def test_rejects_other_content_types(api, kind):
    problem(api().post("/services/", b'{"name": "x"}', content_type=kind), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"host": 2.5}, "/host"),
        ({"host": True}, "/host"),
        ({"host": {"name": "web1"}}, "/host"),
        ({"host": [1, 2.5]}, "/host/1"),
        ({"host": [1, ["web1"]]}, "/host/1"),
        ({"dest_version": "1"}, "/dest_version"),
        ({"strategy": []}, "/strategy"),
        ({"int": 1}, "/int"),
    ],
)
def test_points_at_the_field_and_not_at_a_type_that_was_tried(api, shop, body, pointer):
    """Of a value that may be of several types, pydantic names each that it tried: /host/str, /host/int, …"""
    path = f"/services/shop/versions/{shop.versions[1].pk}/upgrade"
    found = problem(api().post(path, {"dest_version": 1, "host": "all"} | body), 422, "invalid")
    assert {error["pointer"] for error in found["errors"]} == {pointer}


def test_accepts_a_charset(api):
    assert api().post("/services/", {"name": "x"}, content_type="application/json; charset=utf-8").status_code == 201


def test_rejects_large_bodies(api, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    for headers in ({}, {"Idempotency_Key": "k"}):
        problem(api().post("/services/", {"name": "x" * 2000}, **headers), 413, "too_large")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("secret words"), 500, "internal_error"),
        (IntegrityError("secret words"), 409, "concurrent_update"),
        (OperationalError("secret words"), 503, "unavailable"),
        (KeyError("secret words"), 500, "internal_error"),
        (ValueError("secret words"), 500, "internal_error"),
        (RecursionError("secret words"), 500, "internal_error"),
    ],
)
@pytest.mark.parametrize("key", [None, "k"])
def test_unexpected_errors_hide_details(api, monkeypatch, error, status, code, key):
    def fail(*_):
        raise error

    monkeypatch.setattr(catalog, "create_service", fail)
    headers = {"Idempotency_Key": key} if key else {}
    answer = api().post("/services/", {"name": "x"}, **headers)
    problem(answer, status, code)
    assert b"secret words" not in answer.content


def test_invalid_host_headers_get_a_problem(api):
    answer = Client(raise_request_exception=False).get("/api/v1/services/", headers={"Host": "evil.example"})
    problem(answer, 400, "bad_request")


def test_accepts_well_formed_request_ids(api):
    assert api().get("/services/", X_Request_ID="build-1234567")["X-Request-ID"] == "build-1234567"
    for bad in ("short", "x" * 65, "a b c d e f g", "evil<script>"):
        assert api().get("/services/", X_Request_ID=bad)["X-Request-ID"] != bad


def test_names_the_missing_right(api):
    body = problem(api("read").post("/services/", {"name": "x"}), 403, "forbidden")
    assert "admin" in body["detail"]


def test_sessions_need_a_csrf_token(db):
    person("root", is_superuser=True)
    browser = Client(enforce_csrf_checks=True)
    browser.login(username="root", password="right horse")
    assert browser.get("/api/v1/services/").status_code == 200
    path, body = "/api/v1/services/", {"name": "shop"}
    problem(browser.post(path, body, content_type="application/json"), 403, "forbidden")
    problem(browser.put("/api/v1/services/x/versions/1/package", b"x"), 403, "forbidden")
    browser.cookies["csrftoken"] = "a" * 32
    headers = {"X-CSRFToken": "b" * 32}
    problem(browser.post(path, body, content_type="application/json", headers=headers), 403, "forbidden")
    headers = {"X-CSRFToken": "a" * 32}
    assert browser.post(path, body, content_type="application/json", headers=headers).status_code == 201
    browser.cookies["sessionid"] = "made-up"
    problem(browser.post(path, body, content_type="application/json", headers=headers), 401, "unauthorized")


def test_invalid_tokens_override_sessions(db):
    person("root", is_superuser=True)
    browser = Client()
    browser.login(username="root", password="right horse")
    problem(browser.get("/api/v1/services/", headers={"Authorization": "Bearer wrong"}), 401, "unauthorized")


def operations():
    return [
        (route, method, needs_of(operation.view_func).scope)
        for route, found in the_api.operations_by_route().items()
        for method, operation in found.items()
    ]


def test_every_endpoint_checks_its_right(api):
    """Generated from the routes: endpoint × missing scope, and endpoint × no token."""
    factories.service("shop")
    everything = {"read", "publish", "deploy"}
    callers = {scope: api(*(everything - {scope})) for scope in (*everything, "build", "tokens", "admin")}
    assert len(operations()) >= 14
    for route, method, scope in operations():
        if route == "builds/<origin>/webhook":
            continue  # it has no caller: build servers sign their reports
        path = "/" + "".join("1" if part.startswith("<") else part for part in _parts(route))
        problem(callers[scope].send(method, path), 403, "forbidden")
        problem(Api().send(method, path), 401, "unauthorized")


def _parts(route: str):
    return re.split(r"(<[^>]*>)", route)


def test_superusers_create_services(db):
    user = get_user_model().objects.create_user("joe", password="right horse")
    browser = Client()
    browser.force_login(user)
    post = lambda: browser.post("/api/v1/services/", {"name": "x"}, content_type="application/json").status_code
    assert browser.get("/api/v1/services/").status_code == 200
    assert post() == 403
    get_user_model().objects.update(is_superuser=True)
    assert post() == 201


def test_serves_openapi(client):
    described = client.get("/api/v1/openapi.json").json()
    assert described["openapi"] == "3.1.0"
    paths = {path.rstrip("/") for path in described["paths"]}
    for route, method, _ in operations():
        path = "/api/v1/" + route.replace("<", "{").replace(">", "}")
        path = re.sub(r"{\w+:", "{", path)
        assert path in paths
        assert method.lower() in described["paths"].get(path, described["paths"].get(path + "/"))


@pytest.mark.parametrize("name", ["openapi.json", "docs", "docs/errors"])
def test_openapi_answers_with_and_without_a_slash(client, name):
    assert [client.get(f"/api/v1/{name}{slash}").status_code for slash in ("", "/")] == [200, 200]


def test_api_page_loads_nothing_from_elsewhere(client):
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    assert b"//cdn" not in page.content


def test_literal_addresses_win_over_named_parts(db):
    match = resolve("/api/v1/services/shop/versions/1/package")
    assert match.route.endswith("/package")
