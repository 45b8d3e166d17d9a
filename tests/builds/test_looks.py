"""Looks at build servers: only a start can be refused, and what is retried there goes on here."""
from datetime import timedelta

import pytest
from django.utils import timezone

from access.callers import SYSTEM
from access.problems import Problem, conflict
from builds import again, execution, requests, servers
from builds.models import Build
from microservice.models import History, MicroServiceVersion
from microservice.publishing import intake
from microservice.status import BuildStatus
from tests.microservice.api.archives import GOOD
from tests.microservice.api.conftest import store  # noqa: F401

from .buildservers import Server
from .test_reports import SECRET, gitlab, pipeline, signed
from .test_servers import asked, moved, server, set_up  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.found("waiting")]
BOTH = pytest.mark.parametrize("origin", ["gitlab", "jenkins"])
B = BuildStatus


def ends(server: Server, well: bool = True, number: int = 4) -> None:  # noqa: F811
    """The build has ended at the build server, by whichever it is."""
    server.status = "success" if well else "failed"
    server.queue = {"executable": {"number": number, "url": f"{server.url}/job/shop/{number}/"}}
    server.build = {"building": False, "result": "SUCCESS" if well else "FAILURE"}


def to_its_end(build: Build) -> Build:
    for _ in range(4):
        if build.status == B.BUILDING:
            build = moved(build)
    return build


# --- only its start may be refused ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("broken", [401, 403, 404, 409, 410, "garbage", "sign-in"])
def test_a_look_that_is_refused_is_no_end(server, origin, broken):  # noqa: F811
    build = moved(asked(origin, server))
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
def test_a_look_right_after_the_start_may_be_refused_too(server, origin, monkeypatch):  # noqa: F811
    build = asked(origin, server)
    start = execution.servers.origin_of(origin).__class__.start

    def then_refused(self, job):
        reference = start(self, job)
        server.broken = 403
        return reference

    monkeypatch.setattr(execution.servers.origin_of(origin).__class__, "start", then_refused)
    build = moved(build)
    assert build.status == B.BUILDING and build.reference
    server.broken = None
    ends(server)
    assert to_its_end(build).status == B.SUCCESS
    assert len([1 for method, _, _ in server.asked if method == "POST"]) == 1


def test_a_queue_item_that_was_forgotten_is_found_as_its_build(server):  # noqa: F811
    build = moved(asked("jenkins", server))
    assert build.reference == "queue:/queue/item/3"
    server.forgotten = {"/queue/item/3/api/json"}
    build = moved(build)
    assert (build.status, build.reference, build.silences) == (B.BUILDING, "build:/job/shop/4", 0)
    ends(server)
    assert moved(build).status == B.SUCCESS


def test_a_pipeline_whose_project_has_moved_is_found_by_its_variables(server):  # noqa: F811
    build = moved(asked("gitlab", server))
    Build.objects.update(reference="team/elsewhere#7")
    ends(server)
    build = moved(build)
    assert (build.status, build.reference) == (B.SUCCESS, "team/shop#7")


@BOTH
def test_settings_that_are_gone_for_a_while_end_no_build(server, origin, monkeypatch):  # noqa: F811
    build = moved(asked(origin, server))
    there = servers.origin_of

    def gone(name):
        raise conflict("not_configured", f"{name} is not set up.")

    monkeypatch.setattr(servers, "origin_of", gone)
    build = moved(build)
    assert (build.status, "is not set up" in build.detail) == (B.BUILDING, True)
    monkeypatch.setattr(servers, "origin_of", there)
    ends(server)
    assert to_its_end(build).status == B.SUCCESS


def test_an_address_that_was_changed_meanwhile_ends_no_build(server):  # noqa: F811
    build = moved(asked("jenkins", server))
    build.version.microservice.__class__.objects.update(build_url=server.url)
    server.forgotten = {"/queue/item/3/api/json"}
    build = moved(build)
    assert build.status == B.BUILDING and "404" in build.detail


@BOTH
def test_a_build_that_nobody_looked_at_in_time_is_looked_at_before_it_is_given_up(server, origin, settings):  # noqa: F811
    build = moved(moved_to_build(server, origin))
    ends(server)
    late(settings)
    build = moved(build)
    assert (build.status, build.version.status) == (B.SUCCESS, B.SUCCESS)


def moved_to_build(server: Server, origin: str) -> Build:  # noqa: F811
    """Started, and known as what it is built as."""
    build = moved(asked(origin, server))
    server.queue = {"executable": {"number": 4, "url": f"{server.url}/job/shop/4/"}}
    return build


def late(settings) -> None:
    Build.objects.update(started=timezone.now() - timedelta(seconds=settings.BUILD_TIMEOUT + 1))


@BOTH
def test_a_build_that_is_given_up_says_what_the_server_said_last(server, origin, settings):  # noqa: F811
    build = moved(asked(origin, server))
    server.broken, server.says = 403, (b'{"message": "403 Forbidden: project is archived"}', {})
    build = moved(build)
    assert "project is archived" in build.detail
    late(settings)
    build = moved(build)
    assert build.status == B.TIMEOUT
    assert "had not ended" in build.detail and "project is archived" in build.version.build_detail


# --- what is retried there goes on here -------------------------------------------------------------------------------


def looked_at(build: Build) -> Build:
    """After the next look at a build that had ended."""
    Build.objects.filter(pk=build.pk).update(due=timezone.now() - timedelta(seconds=1), lease=None)
    assert execution.work() == 1
    return Build.objects.select_related("version").get(pk=build.pk)


@BOTH
def test_what_is_retried_at_the_server_is_built_again_and_succeeds(server, origin):  # noqa: F811
    build = moved(moved_to_build(server, origin))
    ends(server, well=False)
    build = moved(build)
    assert (build.status, build.version.status) == (B.FAILED, B.FAILED)
    build = looked_at(build)
    assert build.status == B.FAILED and build.due > timezone.now() + timedelta(seconds=30)
    retried(server, origin)
    build = looked_at(build)
    assert (build.status, build.version.status, build.detail, build.finished) == (B.BUILDING, B.BUILDING, "", None)
    assert build.reference == ("team/shop#7" if origin == "gitlab" else "build:/job/shop/5")
    assert History.objects.filter(action="build", reason__contains="tried again").count() == 1
    ends(server, number=5)
    build = to_its_end(build)
    assert (build.status, build.version.status, build.version.build_detail) == (B.SUCCESS, B.SUCCESS, "")
    assert execution.work() == 0, "nobody looks at it any more"


def retried(server: Server, origin: str) -> None:  # noqa: F811
    """GitLab runs the same pipeline again; Jenkins makes another build with the same parameters."""
    server.status, server.build, server.newest = "running", {"building": True, "result": None}, 5


@BOTH
def test_what_failed_and_succeeded_between_two_looks_has_succeeded(server, origin):  # noqa: F811
    build = moved(moved_to_build(server, origin))
    ends(server, well=False)
    build = moved(build)
    retried(server, origin)
    ends(server, number=5)
    build = looked_at(build)
    assert (build.status, build.version.status) == (B.SUCCESS, B.SUCCESS)


def test_what_ran_out_of_time_comes_back_by_its_success_alone(server, settings):  # noqa: F811
    build = moved(asked("gitlab", server))
    late(settings)
    assert moved(build).status == B.TIMEOUT
    build = looked_at(build)
    assert build.status == B.TIMEOUT, "it still runs, which is why it was given up"
    ends(server)
    build = looked_at(build)
    assert (build.status, build.version.status) == (B.SUCCESS, B.SUCCESS)


@BOTH
@pytest.mark.parametrize("broken", [404, 500, "garbage"])
def test_a_look_at_what_has_ended_changes_nothing_where_it_is_refused(server, origin, broken):  # noqa: F811
    build = moved(moved_to_build(server, origin))
    ends(server, well=False)
    ended = moved(build)
    server.broken = broken
    build = looked_at(ended)
    assert (build.status, build.detail, build.finished) == (B.FAILED, ended.detail, ended.finished)


def test_it_is_looked_at_for_a_day_and_less_and_less_often(server):  # noqa: F811
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


def test_only_the_newest_build_of_a_version_is_looked_at(server):  # noqa: F811
    build = moved(moved_to_build(server, "gitlab"))
    ends(server, well=False)
    build = moved(build)
    Build.objects.create(version=build.version, origin="gitlab", status=B.FAILED, finished=timezone.now())
    Build.objects.update(due=timezone.now() - timedelta(seconds=1))
    assert not again.due().exists()


def test_another_build_that_is_open_keeps_it_ended(server):  # noqa: F811
    build = moved(moved_to_build(server, "gitlab"))
    ends(server, well=False)
    build = moved(build)
    Build.objects.create(version=build.version, origin="gitlab", status=B.PENDING)
    assert not requests.go_on(build, build.reference, "")
    MicroServiceVersion.objects.update(status=B.DUPLICATE)
    Build.objects.filter(status=B.PENDING).delete()
    assert not requests.go_on(build, build.reference, "")
    assert Build.objects.get().status == B.FAILED


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.setattr(servers, "webhook_secret", lambda name: SECRET)


@pytest.mark.parametrize("word", ["running", "success"])
def test_a_report_has_it_looked_at_at_once_and_decides_nothing(server, secret, word):  # noqa: F811
    build = moved(moved_to_build(server, "gitlab"))
    ends(server, well=False)
    build = moved(build)
    Build.objects.update(watched_until=None)  # it ended long ago
    assert gitlab(pipeline(build, word, number=8)).json()["result"] == "unchanged"
    assert not again.due().exists(), "that is another pipeline, which got the variables handed on"
    assert gitlab(pipeline(build, word)).json()["result"] == "unchanged"
    assert again.due().exists()
    assert execution.work() == 1
    build.refresh_from_db()
    assert build.status == B.FAILED, "the report was late: the server says that it failed"
    server.status = word
    assert gitlab(pipeline(build, word), Idempotency_Key="2").json()["result"] == "unchanged"
    assert execution.work() >= 1
    build.refresh_from_db()
    assert build.status == (B.BUILDING if word == "running" else B.SUCCESS)


def test_a_report_of_jenkins_about_a_rebuild(server, secret):  # noqa: F811
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
def test_a_retried_pipeline_may_send_its_package_before_anybody_has_looked(server, origin, store):  # noqa: F811
    build = moved(moved_to_build(server, origin))
    ends(server, well=False)
    build = moved(build)
    import io

    intake.store(SYSTEM, build.version, intake.Body(io.BytesIO(GOOD), len(GOOD)))
    version = MicroServiceVersion.objects.get()
    assert version.status == B.SUCCESS and version.file_path
    retried(server, origin)
    build = looked_at(build)
    assert (build.status, build.version.status) == (B.BUILDING, B.SUCCESS)
    ends(server, number=5)
    build = to_its_end(build)
    assert (build.status, build.version.status, build.version.file_path) == (B.SUCCESS, B.SUCCESS, version.file_path)


def test_the_package_of_a_git_build_that_failed_is_refused_as_before(server, store):  # noqa: F811
    import io

    from tests.microservice import fleet

    version = fleet.versions(fleet.service("other"), 1, status=B.FAILED)[0]
    MicroServiceVersion.objects.filter(pk=version.pk).update(sha256="", file_path="")
    version.refresh_from_db()
    with pytest.raises(Problem) as caught:
        intake.store(SYSTEM, version, intake.Body(io.BytesIO(GOOD), len(GOOD)))
    assert caught.value.code == "build_ended"
