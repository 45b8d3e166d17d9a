"""Why a build has its status: a code with parameters, kept in rows and rendered in the reader's language."""

import pytest
from django.utils import translation

from access.callers import SYSTEM
from builds import build_requests
from builds.models import Build, Builder
from builds.providers import BuildRefused, with_words
from messages import Message
from messages.rendering import literal
from messages.texts.builds import TEXTS
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def build() -> Build:
    service = factories.service("shop", build_url="https://git.example/x", build_command="make")
    version = MicroServiceVersion.objects.create(microservice=service, version="1.0")
    return build_requests.start(SYSTEM, version)


def test_keeps_code_and_parameters(build):
    step = Message("build_step.command")
    message = Message("build_failed.said", {"step": step, "status": 2, "words": "no compiler"})
    build_requests.end(build, BuildStatus.FAILED, message)
    build.refresh_from_db()
    version = build.version
    version.refresh_from_db()
    assert build.detail == version.build_detail == "The build command failed with exit status 2: no compiler"
    assert build.detail_code == version.build_detail_code == "build_failed.said"
    assert build.detail_params == {"step": step.as_json(), "status": 2, "words": "no compiler"}
    assert build.reason == version.build_reason == build.detail


def test_renders_in_the_active_language(build, monkeypatch):
    build_requests.end(build, BuildStatus.FAILED, Message("build_disk_full"))
    build.refresh_from_db()
    monkeypatch.setattr("messages.rendering._sentence", lambda says, params: translation.get_language())
    with translation.override("zh-hans"):
        assert build.reason == "zh-hans"


def test_shows_sentences_of_old_rows(build):
    Build.objects.update(detail="the build command failed: {x}")
    MicroServiceVersion.objects.update(build_detail="It had not ended 5 s after its start")
    build.refresh_from_db()
    assert build.reason == "the build command failed: {x}"
    build.version.refresh_from_db()
    assert build.version.build_reason == "It had not ended 5 s after its start"


def test_keeps_the_words_of_a_server_as_text(build):
    build_requests.end(build, BuildStatus.FAILED, literal("make: *** \x00 [all] {braces}"))
    build.refresh_from_db()
    assert (build.detail_code, build.detail_params) == ("", {})
    assert build.reason == "make: ***   [all] {braces}"


def test_stores_only_printable_parameters(build):
    build_requests.end(
        build, BuildStatus.FAILED, Message("gitlab_error.said", {"status": 500, "words": "a\x00b" * 400})
    )
    build.refresh_from_db()
    assert build.detail_params["words"].startswith("a ba") and len(build.detail_params["words"]) <= 500


def test_api_returns_english_sentence_code_and_params(api, build):
    refusal = BuildRefused("build_url_invalid.gitlab", url="https://user:canary@git.example/x")
    build_requests.end(build, BuildStatus.FAILED, refusal.message)
    attempt = api().get(f"/services/shop/versions/{build.version_id}/build").json()
    assert attempt["detail"] == "The service's build_url does not name a GitLab project: https://•••@git.example/x"
    assert attempt["detail_code"] == "build_url_invalid.gitlab"
    assert attempt["detail_params"] == {"url": "https://•••@git.example/x"}
    version = api().get(f"/services/shop/versions/{build.version_id}").json()
    assert (version["build_detail_code"], version["build_detail_params"]) == (
        "build_url_invalid.gitlab",
        {"url": "https://•••@git.example/x"},
    )


def test_shows_sentences_of_older_workers():
    row = Builder(missing=["Install the package bubblewrap.", Message("sandbox_missing.network_namespaces").as_json()])
    assert row.missing_sentences[0] == "Install the package bubblewrap."
    assert row.missing_sentences[1].startswith("Builds have no network")


def test_every_quoting_text_has_words():
    assert with_words("gitlab_error", "", status=500).code == "gitlab_error"
    quoting = [code for code in TEXTS if code.endswith(".said")]
    assert quoting and all("{words}" in str(TEXTS[code].says) for code in quoting)
    assert all(
        "{words}" not in str(TEXTS[code.removesuffix(".said")].says)
        for code in quoting
        if code.removesuffix(".said") in TEXTS
    )
