"""/images/: look into an image, and pull one, with a real engine and a real registry."""

import json
import threading

import pytest

from access import turns
from access.secrets import Secret
from integrations.docker import engine, images
from integrations.images.credentials import credentials_for, credentials_of
from integrations.models import Setting
from integrations.registry import wrapped
from tests.integrations.docker.doors import door, version
from tests.integrations.docker.parts import context, secure
from tests.lab.image_registry import ImageRegistry

pytestmark = pytest.mark.django_db

PYTHON = {
    "usr/bin/python3": "#!/bin/sh\necho Python 3.11.9\n",
    "usr/bin/apt-get": "#!/bin/sh\necho 'apt 2.6.1 (amd64)'\n",
}


def settle(**parts) -> None:
    """Save settings, whose own test is not what these tests are about."""
    Setting.objects.create(document=Secret(json.dumps(parts)))


def tls(lab) -> dict:
    certificate, key = lab.client
    return {"url": lab.url, "ca": lab.ca, "client_cert": certificate, "client_key": key}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Yield a registry with base:1, an image of busybox and programs that say they are Python and apt."""
    with ImageRegistry(tmp_path_factory.mktemp("registry") / "r", users={"ci": "word of ci"}) as server:
        yield server


@pytest.fixture
def image(docker_engine, registry) -> str:
    """Return the pinned reference of an image in the registry, which the engine does not have."""
    docker_engine.add_base("with-python:1", PYTHON)
    spoken = engine.connect(secure(docker_engine))
    name = f"{registry.host}/team/python"
    images.tag(spoken, "with-python:1", name, "3")
    part = wrapped("registry", {"url": registry.url, "user": "ci", "password": "word of ci"})
    digest = images.push(spoken, name, "3", auth=credentials_of(part, f"{name}:3").x_registry_auth)
    for each in (f"{name}:3", f"{name}@{digest}", "with-python:1"):
        images.remove(spoken, each)
    yield f"{name}@{digest}"
    images.remove(spoken, f"{name}@{digest}")


def account(registry) -> dict:
    return {"url": registry.url, "user": "ci", "password": "word of ci"}


def states(answer) -> list[dict]:
    assert answer.status_code == 200, answer.content
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def test_check_pull_and_look(api, docker_engine, registry, image):
    settle(docker=tls(docker_engine), registry=account(registry))
    tag = image.partition("@")[0] + ":3"
    found = api().post("/images/check", {"image": tag}).json()
    assert (found["pinned"], found["source"], found["tools"]) == (image, "registry", None)
    assert found["digest"] == image.partition("@")[2] and found["size"] > 500_000
    assert [platform["name"] for platform in found["platforms"]] == ["linux/amd64"]
    missing = api().post("/images/check", {"image": tag, "tools": True})
    assert (missing.status_code, missing.json()["code"]) == (409, "image_not_pulled")
    first, second = (states(api().post("/images/pull", {"image": tag})) for _ in range(2))
    assert first[0]["state"] == "pulling" and first[0]["layers"] >= 0
    assert {**first[-1], "id": ""} == {"state": "done", "image": image, "id": "", "already": False}
    assert second == [{**first[-1], "already": True}]
    found = api().post("/images/check", {"image": tag, "tools": True}).json()
    assert found["tools"] == {
        "sh": {"path": "/bin/sh", "version": ""},
        "python": {"path": "/usr/bin/python3", "version": "3.11.9"},
        "pip": None,
        "conda": None,
        "apt": {"path": "/usr/bin/apt-get", "version": "2.6.1"},
    }
    assert found["recipe"] == {"base": f"{tag}", "python": {"version": "3.11.9"}}
    assert not docker_engine.containers() and turns.pulls._taken == 0


def test_image_without_a_shell(api, docker_engine, registry):
    spoken = engine.connect(secure(docker_engine))
    name = f"{registry.host}/team/bare"
    images.build(spoken, context("FROM scratch\nCOPY Dockerfile /\n"), images.BuildOptions(tags=(f"{name}:1",)))
    settle(docker=tls(docker_engine), registry=account(registry))
    images.push(spoken, name, "1", auth=credentials_for(f"{name}:1").x_registry_auth)
    found = api().post("/images/check", {"image": f"{name}:1", "tools": True}).json()
    assert set(found["tools"].values()) == {None} and found["recipe"] == {"base": f"{name}:1"}
    images.remove(spoken, f"{name}:1")


def test_an_image_elsewhere_is_asked_for_by_the_engine(api, docker_engine, registry, tmp_path):
    """The engine reaches registries that this server must not be sent to."""
    with ImageRegistry(tmp_path / "other") as other:
        digest = other.push("team/shop", "1")
        settle(docker=tls(docker_engine), registry=account(registry))
        found = api().post("/images/check", {"image": f"{other.host}/team/shop:1"}).json()
        assert (found["source"], found["digest"], found["size"]) == ("engine", digest, None)
        assert found["platforms"]
        refused = api("publish").post("/images/check", {"image": f"{other.host}/team/shop:1"})
        assert refused.status_code == 422 and refused.json()["errors"][0]["code"] == "image_elsewhere"
        missing = api().post("/images/check", {"image": f"{other.host}/team/none:1"})
        assert missing.status_code == 422 and missing.json()["errors"][0]["code"] == "engine_knows_no_image"


def test_what_cannot_be_pulled(api, docker_engine, registry):
    settle(docker=tls(docker_engine), registry=account(registry))
    missing = api().post("/images/pull", {"image": f"{registry.host}/team/none:1"})
    assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, "/image")
    elsewhere = states(api().post("/images/pull", {"image": "127.0.0.1:1/team/none:1"}))
    assert elsewhere[-1]["state"] == "failed" and elsewhere[-1]["problem"]["code"] == "image_pull_failed"
    assert "connection refused" in elsewhere[-1]["problem"]["detail"] and turns.pulls._taken == 0
    for wrong in ("", "Shop", "a b", "x" * 600):
        assert api().post("/images/pull", {"image": wrong}).status_code == 422


def test_nothing_is_configured(api):
    for path in ("/images/check", "/images/pull"):
        answer = api().post(path, {"image": "r.example.com/team/shop:1"})
        assert (answer.status_code, answer.json()["code"]) == (409, "not_configured")
        assert "/settings/#" in answer.json()["hint"]


def test_engine_that_is_away(api):
    settle(docker={"url": "tcp://127.0.0.1:1"})
    answer = api().post("/images/pull", {"image": "r.example.com/team/shop:1"})
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_unreachable")
    assert answer.json()["detail"] == "Nothing listens at tcp://127.0.0.1:1."


def test_closing_ends_a_pull(api):
    """The engine then stops: the connection is the pull."""
    closed = threading.Event()

    def pulling(sock) -> None:
        sock.recv(65536)
        line = b'{"status": "Pulling fs layer", "progressDetail": {}, "id": "a"}\n'
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(line), line))
        while sock.recv(65536):
            pass
        closed.set()

    with door(version(), pulling) as url:
        settle(docker={"url": url})
        begun = api().post("/images/pull", {"image": "r.example.com/team/shop:1"})
        assert json.loads(next(iter(begun.streaming_content)))["layers"] == 1 and turns.pulls._taken == 1
        begun.close()
        assert closed.wait(10) and turns.pulls._taken == 0


def test_few_pulls_at_once(api, monkeypatch):
    monkeypatch.setattr(turns.pulls, "limit", 0)
    settle(docker={"url": "tcp://127.0.0.1:1"})
    answer = api().post("/images/pull", {"image": "r.example.com/team/shop:1"})
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "too_many_pulls", "10")


def test_publishers_look_and_only_builders_run_it(api):
    settle(docker={"url": "tcp://127.0.0.1:1"})
    publisher = api("publish")
    answer = publisher.post("/images/check", {"image": "r.example.com/x"})
    assert (answer.status_code, answer.json()["params"]["page_path"]) == (409, "/settings/#registry")
    for path, body in (
        ("/images/check", {"image": "r.example.com/x", "tools": True}),
        ("/images/pull", {"image": "x"}),
    ):
        answer = publisher.post(path, body)
        assert (answer.status_code, answer.json()["params"]) == (403, {"scope": "build"})
