"""GitLab and Jenkins against a server that speaks their documented APIs: every state, slow and wrong answers."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from access.problems import Problem
from access.secrets import Secret
from builds import execution, servers
from builds.models import Build
from builds.providers import Job, ProviderUnreachable
from integrations.models import Setting
from microservice.status import BuildStatus
from tests import factories
from tests.integrations import servers as outside

from .steps import moved, requested

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("configured")]
ORIGIN_OF = servers.provider_of


def test_starts_a_gitlab_pipeline(server):
    build = moved(requested("gitlab", server))
    variables = {one["key"]: one["value"] for one in server.pipelines[7]}
    assert variables == {
        "SERVICE_ID": str(build.version.microservice_id),
        "VERSION_ID": str(build.version_id),
        "SERVICE_NAME": "shop",
        "USERNAME": "ann",
    }
    assert (build.reference, build.status, build.commit) == ("team/shop#7", BuildStatus.BUILDING, server.sha)
    assert build.url.endswith("/pipelines/7")
    assert all(headers.get("Private-Token") == "glpat-secret" for _, _, headers in server.requests)


@pytest.mark.parametrize(
    ("word", "becomes", "detail"),
    [
        *(
            (word, BuildStatus.BUILDING, "")
            for word in ("created", "waiting_for_resource", "preparing", "pending", "running", "manual", "scheduled")
        ),
        ("success", BuildStatus.SUCCESS, ""),
        ("failed", BuildStatus.FAILED, "failed"),
        ("canceled", BuildStatus.FAILED, "cancelled"),
        ("skipped", BuildStatus.FAILED, "skipped"),
    ],
)
def test_reads_every_pipeline_status(server, word, becomes, detail):
    build = moved(requested("gitlab", server))
    server.status = word
    build = moved(build)
    assert (build.status, build.version.status) == (becomes, becomes)
    assert detail in build.version.build_detail


def test_starts_a_commit_once(server):
    moved(requested("gitlab", server))
    second = moved(requested("gitlab", server, "2.0"))
    assert (second.status, len(server.pipelines)) == (BuildStatus.DUPLICATE, 1)
    assert "1.0" in second.detail


@pytest.mark.parametrize("origin", ["gitlab", "jenkins"])
@pytest.mark.parametrize("broken", [500, 502, 429, "slow", "garbage"])
def test_retries_server_errors(server, origin, broken):
    build = moved(requested(origin, server))
    server.broken = broken
    build = moved(build)
    assert (build.status, build.silences) == (BuildStatus.BUILDING, 1)
    assert build.detail
    assert "secret" not in build.detail
    server.broken, server.status = None, "success"
    server.queue = {"executable": {"number": 4, "url": f"{server.url}/job/shop/4/"}}
    server.build = {"building": False, "result": "SUCCESS"}
    for _ in range(3):
        if build.status == BuildStatus.BUILDING:
            build = moved(build)
    assert build.status == BuildStatus.SUCCESS


@pytest.mark.parametrize("origin", ["gitlab", "jenkins"])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refusal_fails_the_build(server, origin, status):
    server.broken = status
    build = moved(requested(origin, server))
    assert (build.status, "secret" in build.detail) == (BuildStatus.FAILED, False)


@pytest.mark.parametrize("origin", ["gitlab", "jenkins"])
def test_unreachable_server_has_started_nothing(server, origin):
    build = requested(origin, server)
    server.__exit__()
    build = moved(build)
    assert (build.status, build.silences) == (BuildStatus.PENDING, 1) or origin == "jenkins"
    assert build.reference == ""


@pytest.mark.parametrize("origin", ["gitlab", "jenkins"])
def test_finds_a_start_whose_answer_was_lost(server, origin, monkeypatch):
    build = requested(origin, server)
    start = execution.servers.provider_of(origin).__class__.start

    def lost(self, job):
        server.broken = "lost"
        try:
            return start(self, job)
        finally:
            server.broken = None

    monkeypatch.setattr(execution.servers.provider_of(origin).__class__, "start", lost)
    build = moved(build)
    assert (build.status, build.reference) == (BuildStatus.BUILDING, "")
    build = moved(build)
    assert build.reference in ("team/shop#7", "build:/job/shop/4")
    assert len([1 for method, _, _ in server.requests if method == "POST"]) == 1


def test_times_out_without_reports(server, settings):
    build = moved(requested("gitlab", server))
    Build.objects.update(started=timezone.now() - timedelta(seconds=settings.BUILD_TIMEOUT + 1))
    build = moved(build)
    assert (build.status, build.version.status) == (BuildStatus.TIMEOUT, BuildStatus.TIMEOUT)


def test_follows_a_jenkins_build(server):
    build = moved(requested("jenkins", server))
    assert server.parameters["VERSION_ID"] == str(build.version_id)
    assert server.parameters["REF"] == "main"
    assert (build.reference, build.detail) == ("queue:/queue/item/3", "Waiting in the queue: In the quiet period")
    server.queue = {"executable": {"number": 4, "url": "http://elsewhere.example/job/shop/4/"}}
    build = moved(build)
    assert build.reference == "build:/job/shop/4"
    assert moved(build).status == BuildStatus.BUILDING
    server.build = {"building": False, "result": "ABORTED"}
    build = moved(build)
    assert (build.status, "cancelled" in build.detail) == (BuildStatus.FAILED, True)


def test_jenkins_build_cancelled_in_the_queue(server):
    build = moved(requested("jenkins", server))
    server.queue = {"cancelled": True}
    build = moved(build)
    assert (build.status, "queue" in build.detail) == (BuildStatus.FAILED, True)


@pytest.mark.parametrize(("result", "becomes"), [("SUCCESS", 2), ("UNSTABLE", 4), ("FAILURE", 4), ("NOT_BUILT", 4)])
def test_reads_every_jenkins_result(server, result, becomes):
    build = moved(requested("jenkins", server))
    server.queue = {"executable": {"number": 4, "url": f"{server.url}/job/shop/4/"}}
    server.build = {"building": False, "result": result}
    moved(build)
    assert moved(build).status == becomes


def test_reports_addresses_without_a_job(server):
    factories.service("shop", build_orig="jenkins", build_url=server.url)
    assert "does not name a Jenkins job" in moved(requested("jenkins", server)).detail


@pytest.fixture
def real_origins(monkeypatch):
    """`servers.provider_of` as the product has it: from the settings."""
    monkeypatch.setattr(servers, "provider_of", ORIGIN_OF)


def test_uses_configured_tls_and_proxy(real_origins, tmp_path):
    authority = outside.Authority()
    certificate, key = authority.issue("deployer")
    answers = {
        "/api/v4/projects/team%2Fshop/repository/commits/main": (200, {"id": "c" * 40}),
        "/job/shop/api/json": (
            200,
            {"builds": [{"number": 3, "actions": [{"parameters": [{"name": "VERSION_ID", "value": "1"}]}]}]},
        ),
    }
    job = Job(1, 1, "shop", 1, "1.0", "main", "https://gitlab.example/team/shop.git", "", "ann")
    run = replace(job, url="https://ci.example/job/shop")
    with outside.Server(answers, tls=authority.issue("server"), client_ca=authority.pem, folder=tmp_path) as tls:
        given = {"ca": authority.pem, "client_cert": certificate, "client_key": key}
        documents = [{**given}, {**given, "ca": "", "verify": False}, {**given, "ca": ""}, {"ca": authority.pem}]
        for fields, good in zip(documents, (True, True, False, False), strict=True):
            holds({name: {"url": tls.url, "user": "ci", "token": "t", **fields} for name in ("gitlab", "jenkins")})
            lab, ci = servers.provider_of("gitlab"), servers.provider_of("jenkins")
            if good:
                assert (lab.commit(job), ci.find(run)) == ("c" * 40, "build:/job/shop/3")
                continue
            with pytest.raises(ProviderUnreachable):
                lab.commit(job)
            with pytest.raises(ProviderUnreachable):
                ci.find(run)
    through = {f"http://outside.invalid{path}": answer for path, answer in answers.items()}
    with outside.Server(through) as proxy:
        holds(
            {
                "gitlab": {"url": "http://outside.invalid", "token": "t"},
                "proxies": {"http": proxy.url},
                "jenkins": {"url": "http://outside.invalid", "user": "ci", "token": "t"},
            }
        )
        assert servers.provider_of("gitlab").commit(job) == "c" * 40
        assert servers.provider_of("jenkins").find(run) == "build:/job/shop/3"


def test_webhook_secret_overrides_the_environment(settings):
    settings.BUILD_WEBHOOK_SECRET = ""
    holds({"gitlab": {"url": "http://x", "token": "t"}})
    with pytest.raises(Problem) as problem:
        servers.webhook_secret("gitlab")
    assert (problem.value.code, problem.value.page) == ("not_configured", "/settings/#gitlab")
    settings.BUILD_WEBHOOK_SECRET = "of the environment"
    assert servers.webhook_secret("gitlab") == "of the environment"
    holds({"gitlab": {"url": "http://x", "token": "t", "webhook_secret": "of its own, and long"}})
    assert servers.webhook_secret("gitlab") == "of its own, and long"


def test_git_uses_configured_proxies(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://of.the.environment:1")
    assert servers.git().proxy_variables()["https_proxy"] == "http://of.the.environment:1"
    holds({"proxies": {"https": "http://of.the.settings:2", "no_proxy": ["a.example", "b.example"]}})
    environment = servers.git().proxy_variables()
    assert (environment["https_proxy"], environment["no_proxy"]) == ("http://of.the.settings:2", "a.example,b.example")


def holds(document: dict) -> None:
    """Save these settings without testing them."""
    Setting.objects.create(document=Secret(json.dumps(document)))
