"""Whether a token still works, and its children."""

from tests.api.client import Api


def holds(token: str) -> bool:
    return Api(token).get("/services/").status_code == 200


def child_of(token: str, *scopes: str, **more) -> dict:
    answer = Api(token).post("/tokens/", {"name": "child", "scopes": scopes or ["read", "tokens"], **more})
    assert answer.status_code == 201, answer.content
    return answer.json()
