"""Callers of the API: `api()` has every right, `api("read")` only that one."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from access.tokens import make_token
from tests import factories


class Api:
    """Django's test client with a token; bodies are JSON."""

    def __init__(self, token: str = "", **headers: str):
        self.client = Client(raise_request_exception=False)
        self.headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **headers}

    def send(self, method: str, path: str, body=None, content_type="application/json", **headers):
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(method, f"/api/v1{path}", data, content_type, headers={**self.headers, **named})

    def get(self, path, **headers):
        return self.send("GET", path, **headers)

    def post(self, path, body=None, **more):
        return self.send("POST", path, body, **more)

    def patch(self, path, body=None, **more):
        return self.send("PATCH", path, body, **more)

    def put(self, path, body=None, **more):
        return self.send("PUT", path, body, **more)

    def delete(self, path, **headers):
        return self.send("DELETE", path, **headers)


def person(name: str = "ann", **more):
    user = get_user_model().objects.filter(username=name).first()
    return user or get_user_model().objects.create_user(name, password="right horse", **more)


@pytest.fixture
def api(request):
    """A caller of the API by token; its user is a superuser, so that the token's scopes alone decide."""
    request.getfixturevalue("transactional_db" if "transactional_db" in request.fixturenames else "db")

    def some(*scopes: str, services=(), name="ann", **headers) -> Api:
        user = person(name, is_superuser=True, is_staff=True)
        every = ("read", "publish", "deploy", "tokens", "admin")
        token = make_token(user, "test", scopes or every, services=services)[1]
        return Api(token, **headers)

    return some


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    """An empty package store of the test's own."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "store"},
        },
    }
    return tmp_path / "store"


@pytest.fixture
def shop(db):
    """A service with four versions, of which three hosts run the second."""
    service = factories.service()
    versions = factories.versions(service, 4)
    return factories.Shop(service, versions, factories.instances(versions[1], factories.hosts(3), port=8000))
