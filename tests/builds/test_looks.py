"""Polls of build servers: only a start can be refused, and a retry at the server continues the build."""

from datetime import timedelta

import pytest
from django.utils import timezone

from access.callers import SYSTEM
from access.problems import Problem
from audit.models import History
from builds import build_requests, execution, rebuilds, servers
from builds.models import Build
from integrations.registry import not_configured
from microservice.models import MicroServiceVersion
from microservice.publishing import upload
from microservice.status import BuildStatus
from tests.api.archives import GOOD

from .buildservers import Server
from .steps import moved, requested
from .test_reports import SECRET, gitlab, pipeline, signed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store", "configured"), pytest.mark.found("waiting")]
BOTH = pytest.mark.parametrize("origin", ["gitlab", "jenkins"])
B = BuildStatus


def ends(server: Server, well: bool = True, number: int = 4) -> None:
    """End the build at the build server, GitLab or Jenkins."""
    server.status = "success" if well else "failed"
    server.queue = {"executable": {"number": number, "url": f"{server.url}/job/shop/{number}/"}}
    server.build = {"building": False, "result": "SUCCESS" if well else "FAILURE"}


def to_its_end(build: Build) -> Build:
    for _ in range(4):
        if build.status == B.BUILDING:
            build = moved(build)
    return build


# --- refused starts and polls -----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("broken", [401, 403, 404, 409, 410, "garbage", "sign-in"])
def test_refused_polls_do_not_end_a_build(server, origin, broken):
    build = moved(requested(origin, server))
    server.broken, before = broken, build.silences  # a busy machine's server may have been silent once already
    for silences in (1, 2, 3):
        build = moved(build)
        assert (build.status, build.version.status, build.silences - before) == (B.BUILDING, B.BUILDING, silences)
        assert build.detail and "secret" not in build.detail
    server.broken = None
    ends(server)
    build = to_its_end(build)
    assert (build.status, build.version.status) == (B.SUCCESS, B.SUCCESS)


@BOTH
def test_first_poll_may_be_refused(server, origin, monkeypatch):
    build = requested(origin, server)
    start = execution.servers.provider_of(origin).__class__.start

    def then_refused(self, job):
        reference = start(self, job)
        server.broken = 403
        return reference

    monkeypatch.setattr(execution.servers.provider_of(origin).__class__, "start", then_refused)
    build = moved(build)
    assert build.status == B.BUILDING and build.reference
    server.broken = None
    ends(server)
    assert to_its_end(build).status == B.SUCCESS
    assert len([1 for method, _, _ in server.requests if method == "POST"]) == 1


def test_finds_builds_of_forgotten_queue_items(server):
    build = moved(requested("jenkins", server))
    assert build.reference == "queue:/queue/item/3"
    server.forgotten = {"/queue/item/3/api/json"}
    build = moved(build)
    assert (build.status, build.reference, build.silences) == (B.BUILDING, "build:/job/shop/4", 0)
    ends(server)
    assert moved(build).status == B.SUCCESS


def test_finds_pipelines_of_moved_projects(server):
    build = moved(requested("gitlab", server))
    Build.objects.update(reference="team/elsewhere#7")
    ends(server)
    build = moved(build)
    assert (build.status, build.reference) == (B.SUCCESS, "team/shop#7")


@BOTH
def test_missing_settings_end_no_build(server, origin, monkeypatch):
    build = moved(requested(origin, server))
    there = servers.provider_of

    def gone(name):
        raise not_configured(name)

    monkeypatch.setattr(servers, "provider_of", gone)
    build = moved(build)
    assert (build.status, "is not configured" in build.detail) == (B.BUILDING, True)
    monkeypatch.setattr(servers, "provider_of", there)
    ends(server)
    assert to_its_end(build).status == B.SUCCESS


def test_changed_addresses_end_no_build(server):
    build = moved(requested("jenkins", server))
    build.version.microservice.__class__.objects.update(build_url=server.url)
    server.forgotten = {"/queue/item/3/api/json"}
    build = moved(build)
    assert build.status == B.BUILDING and "404" in build.detail


@BOTH
def test_polls_before_giving_up(server, origin, settings):
    build = moved(moved_to_build(server, origin))
    ends(server)
    late(settings)
    build = moved(build)
    assert (build.status, build.version.status) == (B.SUCCESS, B.SUCCESS)


def moved_to_build(server: Server, origin: str) -> Build:
    """Return a build that was started, and give it number 4 at Jenkins."""
    build = moved(requested(origin, server))
    server.queue = {"executable": {"number": 4, "url": f"{server.url}/job/shop/4/"}}
    return build


def late(settings) -> None:
    Build.objects.update(started=timezone.now() - timedelta(seconds=settings.BUILD_TIMEOUT + 1))


@BOTH
def test_quotes_the_last_answer_when_giving_up(server, origin, settings):
    build = moved(requested(origin, server))
    server.broken, server.says = 403, (b'{"message": "403 Forbidden: project is archived"}', {})
    build = moved(build)
    assert "project is archived" in build.detail
    late(settings)
    build = moved(build)
    assert build.status == B.TIMEOUT
    assert "had not ended" in build.detail and "project is archived" in build.version.build_detail


# --- retries at the build server --------------------------------------------------------------------------------------


def looked_at(build: Build) -> Build:
    """After the next look at a build that had ended."""
    Build.objects.filter(pk=build.pk).update(due=timezone.now() - timedelta(seconds=1), lease=None)
    assert execution.work() == 1
    return Build.objects.select_related("version").get(pk=build.pk)


@BOTH
def test_retry_at_the_server_succeeds(server, origin):
    build = moved(moved_to_build(server, origin))
    ends(server, well=False)
    build = to_its_end(build)
    assert (build.status, build.version.status) == (B.FAILED, B.FAILED)
    build = looked_at(build)
    assert build.status == B.FAILED and build.due > timezone.now() + timedelta(seconds=30)
    retried(server, origin)
    build = looked_at(build)
    assert (build.status, build.version.status, build.detail, build.finished) == (B.BUILDING, B.BUILDING, "", None)
    assert build.reference == ("team/shop#7" if origin == "gitlab" else "build:/job/shop/5")
    assert History.objects.filter(action="build", reason__contains="retried").count() == 1
    ends(server, number=5)
    build = to_its_end(build)
    assert (build.status, build.version.status, build.version.build_detail) == (B.SUCCESS, B.SUCCESS, "")
    assert execution.work() == 0, "it is no longer polled"


def retried(server: Server, origin: str) -> None:
    """GitLab runs the same pipeline again; Jenkins makes another build with the same parameters."""
    server.status, server.build, server.newest = "running", {"building": True, "result": None}, 5


@BOTH
def test_success_between_two_polls_counts(server, origin):
    build = moved(moved_to_build(server, origin))
    ends(server, well=False)
    build = moved(build)
    retried(server, origin)
    ends(server, number=5)
    build = looked_at(build)
    assert (build.status, build.version.status) == (B.SUCCESS, B.SUCCESS)


def test_timed_out_builds_return_by_success_only(server, settings):
    build = moved(requested("gitlab", server))
    late(settings)
    assert moved(build).status == B.TIMEOUT
    build = looked_at(build)
    assert build.status == B.TIMEOUT, "it still runs, which is why it was given up"
    ends(server)
    build = looked_at(build)
    assert (build.status, build.version.status) == (B.SUCCESS, B.SUCCESS)


@BOTH
@pytest.mark.parametrize("broken", [404, 500, "garbage"])
def test_refused_polls_keep_ended_builds(server, origin, broken):
    build = moved(moved_to_build(server, origin))
    ends(server, well=False)
    ended = moved(build)
    server.broken = broken
    build = looked_at(ended)
    assert (build.status, build.detail, build.finished) == (B.FAILED, ended.detail, ended.finished)


def test_polls_ended_builds_for_a_day(server):
    build = moved(moved_to_build(server, "gitlab"))
    ends(server, well=False)
    build = moved(build)
    pauses = []
    for hours in (0, 1, 4, 23):
        Build.objects.update(finished=timezone.now() - timedelta(hours=hours))
        build = looked_at(build)
        pauses.append((build.due - timezone.now()).total_seconds())
    assert pauses[0] <= 61 and 600 < pauses[1] < 1000
    assert all(3500 < pause <= 3600 for pause in pauses[2:]), "an hour at most"
    Build.objects.update(watched_until=timezone.now() - timedelta(seconds=1), due=timezone.now() - timedelta(hours=1))
    assert execution.work() == 0


def test_polls_the_newest_build_only(server):
    build = moved(moved_to_build(server, "gitlab"))
    ends(server, well=False)
    build = moved(build)
    Build.objects.create(version=build.version, origin="gitlab", status=B.FAILED, finished=timezone.now())
    Build.objects.update(due=timezone.now() - timedelta(seconds=1))
    assert not rebuilds.due().exists()


def test_open_builds_keep_earlier_ones_ended(server):
    build = moved(moved_to_build(server, "gitlab"))
    ends(server, well=False)
    build = moved(build)
    Build.objects.create(version=build.version, origin="gitlab", status=B.PENDING)
    assert not build_requests.reopen(build, build.reference, "")
    MicroServiceVersion.objects.update(status=B.DUPLICATE)
    Build.objects.filter(status=B.PENDING).delete()
    assert not build_requests.reopen(build, build.reference, "")
    assert Build.objects.get().status == B.FAILED


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.setattr(servers, "webhook_secret", lambda name: SECRET)


@pytest.mark.parametrize("word", ["running", "success"])
def test_reports_only_trigger_a_poll(server, secret, word):
    build = moved(moved_to_build(server, "gitlab"))
    ends(server, well=False)
    build = moved(build)
    Build.objects.update(watched_until=None)  # it ended long ago
    assert gitlab(pipeline(build, word, number=8)).json()["result"] == "unchanged"
    assert not rebuilds.due().exists(), "that is another pipeline, which inherited the variables"
    assert gitlab(pipeline(build, word)).json()["result"] == "unchanged"
    assert rebuilds.due().exists()
    assert execution.work() == 1
    build.refresh_from_db()
    assert build.status == B.FAILED, "the report was late: the server says that it failed"
    server.status = word
    assert gitlab(pipeline(build, word), Idempotency_Key="2").json()["result"] == "unchanged"
    assert execution.work() >= 1
    build.refresh_from_db()
    assert build.status == (B.BUILDING if word == "running" else B.SUCCESS)


def test_jenkins_report_of_a_rebuild(server, secret):
    build = moved(moved_to_build(server, "jenkins"))
    ends(server, well=False)
    build = moved(build)
    retried(server, "jenkins")
    ends(server, number=5)
    body = {"version_id": build.version_id, "status": "success", "reference": "build:/job/shop/5"}
    assert signed("jenkins", body).json()["result"] == "unchanged"
    assert execution.work() == 1
    build.refresh_from_db()
    assert (build.status, build.reference) == (B.SUCCESS, "build:/job/shop/5")


@BOTH
def test_retried_pipeline_uploads_before_a_poll(server, origin, store):
    build = moved(moved_to_build(server, origin))
    ends(server, well=False)
    build = moved(build)
    import io

    upload.store(SYSTEM, build.version, upload.Body(io.BytesIO(GOOD), len(GOOD)))
    version = MicroServiceVersion.objects.get()
    assert version.status == B.SUCCESS and version.file_path
    retried(server, origin)
    build = looked_at(build)
    assert (build.status, build.version.status) == (B.BUILDING, B.SUCCESS)
    ends(server, number=5)
    build = to_its_end(build)
    assert (build.status, build.version.status, build.version.file_path) == (B.SUCCESS, B.SUCCESS, version.file_path)


def test_refuses_packages_of_failed_git_builds(server, store):
    import io

    from tests import factories

    version = factories.versions(factories.service("other"), 1, status=B.FAILED)[0]
    MicroServiceVersion.objects.filter(pk=version.pk).update(sha256="", file_path="")
    version.refresh_from_db()
    with pytest.raises(Problem) as caught:
        upload.store(SYSTEM, version, upload.Body(io.BytesIO(GOOD), len(GOOD)))
    assert caught.value.code == "build_ended"
