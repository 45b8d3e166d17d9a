"""Who gets the registry's password: the registry, by each of its names, and nobody else."""

import base64
import json

import pytest

from access.secrets import Secret
from integrations import registry
from integrations.images.credentials import HUB_KEY, credentials_of

PART = registry.wrapped(
    "registry",
    {"url": "https://r.example.com", "hosts": ["r.internal:5000"], "user": "robot$ci", "password": "pa:ss/wörd?"},
)


def decoded(header: Secret) -> dict:
    return json.loads(base64.urlsafe_b64decode(header.reveal()))


def test_what_an_engine_and_a_host_are_given():
    given = credentials_of(PART, "r.internal:5000/team/shop:1")
    assert decoded(given.x_registry_auth) == {
        "username": "robot$ci",
        "password": "pa:ss/wörd?",
        "serveraddress": "r.internal:5000",
    }
    assert set(decoded(given.x_registry_config)) == {"r.internal:5000", "r.example.com"}
    auths = json.loads(given.docker_config.reveal())["auths"]
    assert set(auths) == {"r.internal:5000"}
    assert base64.b64decode(auths["r.internal:5000"]["auth"]).decode() == "robot$ci:pa:ss/wörd?"
    assert "pa:ss" not in repr(given) and "robot" not in repr(given)


@pytest.mark.parametrize("image", ["shop", "evil.example/shop", "r.example.com.evil.example/shop", "r.internal/shop"])
def test_another_registry_gets_nothing(image):
    assert credentials_of(PART, image) is None


def test_no_user_no_credentials():
    assert credentials_of({**PART, "user": ""}, "r.example.com/shop") is None


def test_docker_hub_by_the_name_that_engines_know():
    part = {**PART, "url": "https://registry-1.docker.io", "hosts": []}
    given = credentials_of(part, "team/shop")
    assert set(json.loads(given.docker_config.reveal())["auths"]) == {HUB_KEY}
    assert set(decoded(given.x_registry_config)) == {HUB_KEY}
