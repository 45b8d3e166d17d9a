"""The test of the registry's settings: signs in, and says whether images may be pulled and pushed for the project."""

import json

import pytest

from integrations import probes
from integrations import registry as parts
from integrations.images import probe
from integrations.images.errors import RegistryFailed
from messages.rendering import english
from tests.lab import image_registry
from tests.lab.image_registry import ImageRegistry
from tests.lab.token_server import TokenServer

pytestmark = pytest.mark.skipif(not image_registry.installed(), reason=image_registry.MISSING)
WORD = "pa55-word$x"
PLACE = "team/deployer-probe"


def found(server, must_push=True, **more) -> dict[str, str]:
    """Return {step: code} of what was found; the last one may be that of a failure."""
    fields = {"url": server.url, "project": "team", "user": "robot$ci", "password": WORD, **more}
    steps = {}
    try:
        for step, message in probe.steps(parts.wrapped("registry", fields), None, must_push):
            steps[step] = message.code
            assert WORD not in english(message)
    except RegistryFailed as error:
        steps[error.step] = error.message.code
        assert WORD not in english(error.message)
    return steps


GOOD = {"log in": "probe.signed_in", "pull": "probe.registry_pull", "push": "probe.registry_push"}


def test_basic_and_read_only(tmp_path):
    with ImageRegistry(tmp_path, users={"robot$ci": WORD}) as server:
        assert found(server) == GOOD
        assert server.uploads(PLACE) == [], "the upload was taken back"
        assert found(server, password="wr0ng-word") == {"log in": "registry_sign_in.words"}
        assert found(server, user="", password="") == {"log in": "registry_sign_in.no_user"}
        port = server.port
    with ImageRegistry(tmp_path, users={"robot$ci": WORD}, readonly=True, port=port) as server:
        assert found(server) == {**GOOD, "push": "probe.registry_no_push"}
        assert found(server, must_push=False) == {**GOOD, "push": "probe.registry_only_pull"}


def test_no_sign_in_at_all(tmp_path):
    with ImageRegistry(tmp_path) as server:
        assert found(server) == {**GOOD, "log in": "probe.anonymous"}


def test_tokens_that_may_not_push_or_pull(tmp_path):
    with TokenServer({"robot$ci": WORD}) as tokens, ImageRegistry(tmp_path, tokens=tokens) as server:
        tokens.may["robot$ci"] = {"pull", "push", "delete"}
        assert found(server) == GOOD
        assert server.uploads(PLACE) == [], "taken back, where the account may delete"
        tokens.may["robot$ci"] = {"pull", "push"}
        assert found(server) == GOOD
        tokens.may["robot$ci"] = {"pull"}
        assert found(server) == {**GOOD, "push": "probe.registry_no_push"}
        assert found(server, must_push=False) == {**GOOD, "push": "probe.registry_only_pull"}
        tokens.may["robot$ci"] = set()
        assert found(server)["pull"] == "probe.registry_no_pull"
        tokens.only = {"team/shop": {"pull"}}
        assert found(server)["pull"] == "probe.registry_no_pull"
        assert found(server, project="team/shop", must_push=False)["pull"] == "probe.registry_pull"
        assert not any("catalog" in path for path, _ in tokens.seen)
        assert f"repository%3A{PLACE.replace('/', '%2F')}%3Apull%2Cpush" in "".join(path for path, _ in tokens.seen)


def test_an_old_document_and_an_engine_beside_it(tmp_path):
    """Documents of before had an address, a user and a password; pushing is needed once there is an engine."""
    with ImageRegistry(tmp_path, users={"ci": WORD}) as server:
        (finding,) = probes.test({"registry": {"url": server.url, "user": "ci", "password": WORD}})
        assert finding["ok"], finding
        assert [step["what"] for step in finding["steps"]] == ["log in", "pull", "push"]


def test_a_web_page_is_no_registry(hostile):
    hostile.answer = (200, b"<html>", {"Content-Type": "text/html"})
    assert found(hostile) == {"log in": "registry_other"}


def test_an_upload_is_deleted_at_the_registry_only(hostile):
    hostile.answer = (202, b"{}", {"Location": "http://127.0.0.1:1/v2/team/deployer-probe/blobs/uploads/1?_state=2"})
    client = probe.RegistryClient(parts.wrapped("registry", {"url": hostile.url}))
    probe._push(client, PLACE, "team", True)
    assert hostile.seen[-1][:2] == ("DELETE", "/v2/team/deployer-probe/blobs/uploads/1?_state=2")
    hostile.answer = (202, b"{}", {"Location": "http://127.0.0.1:1/elsewhere"})
    probe._push(client, PLACE, "team", True)
    assert hostile.seen[-1][0] == "POST"


def test_what_a_registry_says_of_the_password_is_masked(hostile):
    hostile.answer = (403, json.dumps({"errors": [{"code": "DENIED", "message": f"not {WORD}"}]}).encode(), {})
    (finding,) = probes.test({"registry": {"url": hostile.url, "user": "ci", "password": WORD}})
    assert not finding["ok"] and "DENIED" in finding["steps"][0]["detail"] and WORD not in json.dumps(finding)
