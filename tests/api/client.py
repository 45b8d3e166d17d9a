"""Clients of the API, and the users whose tokens they have."""

import json

from django.contrib.auth import get_user_model
from django.test import Client


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
