"""Images for requests: what refuses them, with which code."""

import json

import pytest

from access.problems import Problem
from access.secrets import Secret
from integrations.images import lookup
from integrations.models import Setting
from tests.lab import image_registry
from tests.lab.image_registry import ImageRegistry

pytestmark = pytest.mark.django_db


def configure(url: str, **more) -> None:
    document = {"registry": {"url": url, "user": "ci", "password": "passw0rd", **more}}
    Setting.objects.create(document=Secret(json.dumps(document)))


def refusal(text: str) -> Problem:
    with pytest.raises(Problem) as refused:
        lookup.resolve(text)
    return refused.value


def test_not_configured():
    assert (refusal("shop").status, refusal("shop").code) == (409, "not_configured")


def test_another_registry_is_never_asked():
    configure("http://127.0.0.1:1", hosts=["images.internal"])
    for text in ("shop", "evil.example/shop", "127.0.0.1/shop", "127.0.0.1:10/shop"):
        problem = refusal(text)
        assert problem.status == 422 and problem.field_errors[0].pointer == "/image"
        assert "127.0.0.1:1, images.internal" in problem.errors[0]["reason"]
    assert refusal("images.internal/Shop").status == 422


def test_an_unreachable_registry_is_its_own_code():
    configure("http://127.0.0.1:1")
    problem = refusal("127.0.0.1:1/shop")
    assert (problem.status, problem.code, problem.page) == (503, "registry_unreachable", "/settings/#registry")


@pytest.mark.skipif(not image_registry.installed(), reason=image_registry.MISSING)
def test_a_real_registry(tmp_path):
    with ImageRegistry(tmp_path, users={"ci": "passw0rd"}) as server:
        digest = server.push("team/shop", "1.0")
        configure(server.url)
        assert lookup.resolve(f"{server.host}/team/shop:1.0").digest == digest
        problem = refusal(f"{server.host}/team/shop:2.0")
        assert problem.status == 422 and "manifest unknown" in problem.errors[0]["reason"]
        configure(server.url, password="wr0ng-word")
        problem = refusal(f"{server.host}/team/shop:1.0")
        assert (problem.status, problem.code) == (409, "registry_refused") and "wr0ng" not in str(problem)
