"""Builds from request to end, through the API and the worker's steps, with real repositories."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from audit.models import History
from builds import build_requests, execution, jobs
from builds.models import Build
from messages.rendering import literal
from microservice.models import Deployment
from microservice.status import BuildStatus
from tests import factories

from .steps import ask, pending, state

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store", "quick")]


def test_builds_a_version_from_its_repository(api, service, store):
    version, caller = pending(service), api()
    answer = ask(caller, version)
    assert (answer.status_code, answer.json()["status_str"]) == (202, "pending"), answer.content
    assert state(version) == BuildStatus.BUILDING
    assert execution.work() == 1
    assert state(version) == BuildStatus.SUCCESS
    build = caller.get(f"/services/shop/versions/{version.pk}/build").json()
    assert (build["status_str"], "built" in build["log"], len(build["commit"])) == ("success", True, 40)
    assert (store / version.file_path).exists()
    assert answer["Location"] == f"/api/v1/services/{service.pk}/versions/{version.pk}/build"


def test_builds_equal_requests_once(api, service):
    version, caller = pending(service), api()
    assert [ask(caller, version).json()["id"] for _ in range(2)] == [Build.objects.get().pk] * 2
    execution.work()
    again = ask(caller, version)
    assert (again.status_code, again.json()["code"]) == (409, "build_status")


def test_builds_a_commit_once(api, service, repository):
    first, second, third = (pending(service, f"{number}.0") for number in (1, 2, 3))
    caller = api()
    ask(caller, first)
    ask(caller, second)
    execution.work()
    assert (state(first), state(second)) == (BuildStatus.SUCCESS, BuildStatus.DUPLICATE)
    assert f"version {first.pk}" in second.build_detail
    assert caller.get(f"/services/shop/versions/{second.pk}/build").json()["duplicate_of"] == first.pk
    repository.commit({"app": "2"})
    ask(caller, third)
    execution.work()
    assert state(third) == BuildStatus.SUCCESS


def test_reports_why_a_build_failed(api, service):
    service.build_command = "echo no compiler; exit 2"
    service.save()
    version = pending(service)
    ask(api(), version)
    execution.work()
    assert state(version) == BuildStatus.FAILED
    assert "no compiler" in version.build_detail


def test_rejects_packages_that_lead_outside(api, service):
    service.build_command = "ln -s /etc/passwd link"
    service.save()
    version = pending(service)
    ask(api(), version)
    execution.work()
    assert state(version) == BuildStatus.FAILED
    assert not version.file_path


@pytest.mark.parametrize("lacking", ["build_url", "build_command"])
def test_reports_missing_settings(api, service, lacking):
    setattr(service, lacking, "")
    service.save()
    answer = ask(api(), pending(service))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_configured")


@pytest.mark.parametrize("origin", ["gitlab", "jenkins"])
def test_reports_missing_build_servers(api, service, origin):
    service.build_orig = origin
    service.save()
    version = pending(service)
    answer = ask(api(), version)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_configured")
    assert state(version) == BuildStatus.PENDING


def test_another_worker_takes_over(service):
    version = pending(service)
    from access.callers import SYSTEM

    build = build_requests.start(SYSTEM, version)
    Build.objects.update(
        owner="dead", status=BuildStatus.BUILDING, started=timezone.now(), lease=timezone.now() + timedelta(seconds=60)
    )
    assert execution.work() == 0
    Build.objects.update(lease=timezone.now() - timedelta(seconds=1))
    assert execution.work() == 1
    build.refresh_from_db()
    assert (build.takeovers, state(version)) == (1, BuildStatus.SUCCESS)


def test_gives_up_builds_that_kill_workers(service):
    from access.callers import SYSTEM

    version = pending(service)
    build_requests.start(SYSTEM, version)
    Build.objects.update(owner="dead", takeovers=3, lease=timezone.now() - timedelta(seconds=1))
    execution.work()
    assert state(version) == BuildStatus.FAILED


def test_retries_an_unreachable_repository(service, settings):
    from access.callers import SYSTEM

    version = pending(service)
    service.build_url += "-gone"
    service.save()
    build_requests.start(SYSTEM, version)
    began = timezone.now()
    assert execution.work() == 1
    build = Build.objects.get()
    assert (build.silences, state(version)) == (1, BuildStatus.BUILDING)
    assert build.due > began
    long_ago = timezone.now() - timedelta(seconds=settings.BUILD_TIMEOUT + 100)
    Build.objects.update(created=long_ago, due=began)
    execution.work()
    assert state(version) == BuildStatus.TIMEOUT


def test_ended_builds_do_not_change(service):
    from access.callers import SYSTEM

    version = pending(service)
    build = build_requests.start(SYSTEM, version)
    assert build_requests.end(build, BuildStatus.FAILED, literal("first"))
    assert not build_requests.end(build, BuildStatus.SUCCESS, literal("late"))
    entry = History.objects.get(action="build", reason="first")  # so the subscribers of versions receive an event
    assert (entry.microservice.name, entry.after) == ("shop", {"status": BuildStatus.FAILED.value})
    assert (state(version), version.build_detail) == (BuildStatus.FAILED, "first")


# --- automatic deployments --------------------------------------------------------------------------------------------


@pytest.fixture
def following(service):
    service.auto_deploy_tag = "canary"
    service.save()
    old = factories.versions(service, 1)[0]
    one, two = factories.hosts(2)
    factories.instances(old, [one], tag="canary")
    factories.instances(old, [two], tag="stable")
    return service


def test_built_versions_follow_tags(following):
    from access.callers import SYSTEM

    build_requests.start(SYSTEM, pending(following, "9.0"))
    execution.work()
    deployment = Deployment.objects.get()
    assert (deployment.requested_by, deployment.dest_version.version) == ("auto_deploy", "9.0")
    assert [row.instance.tag for row in deployment.operations.all()] == ["canary"]


def test_bad_and_failed_versions_are_not_deployed(following):
    from access.callers import SYSTEM

    build_requests.start(SYSTEM, pending(following, "9.0", bad=True))
    execution.work()
    following.build_command = "false"
    following.save()
    build_requests.start(SYSTEM, pending(following, "9.1"))
    execution.work()
    assert not Deployment.objects.exists()


def test_older_versions_are_not_deployed(following):
    from access.callers import SYSTEM

    late = pending(following, "8.0")
    factories.versions(following, 1)
    build_requests.start(SYSTEM, late)
    execution.work()
    assert (state(late), Deployment.objects.count()) == (BuildStatus.SUCCESS, 0)


def test_revert_marks_versions_bad(api, service):
    old, new = factories.versions(service, 2)
    factories.instances(new, factories.hosts(1))
    caller, path = api(), f"/services/shop/versions/{new.pk}"
    body = {"dest_version": old.pk, "host": "all", "mark_bad": True}
    assert caller.post(f"{path}/revert", body).json()["errors"][0]["pointer"] == "/reason"
    assert not Deployment.objects.exists()
    assert caller.post(f"{path}/revert", {**body, "reason": "loses orders"}).status_code == 202
    new.refresh_from_db()
    assert (new.bad, new.bad_reason) == (True, "loses orders")
    choices = caller.get(f"/services/shop/versions/{old.pk}/upgrade").json()["data"]
    choices = {row["id"]: row["enable"] for row in choices}
    assert choices[new.pk] is False
    refused = caller.post(
        f"/services/shop/versions/{old.pk}/upgrade", {"dest_version": old.pk, "host": "all", "mark_bad": True}
    )
    assert refused.json()["errors"][0]["pointer"] == "/mark_bad"


def test_unreadable_build_secrets_fail_the_build(api, service, settings):
    version, caller = pending(service), api()
    assert caller.patch("/services/shop", {"build_secrets": {"TOKEN": "a canary"}}).status_code == 200
    ask(caller, version)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    execution.work()
    assert state(version) == BuildStatus.FAILED
    assert "build secrets" in version.build_detail and "canary" not in Build.objects.get().log


def test_sends_no_secrets_to_build_servers(api, service, settings):
    api().patch("/services/shop", {"build_secrets": {"TOKEN": "a canary"}, "build_password": "another canary"})
    made = Build.objects.create(version=pending(service), origin="jenkins")
    job = jobs.job_of(Build.objects.select_related("version__microservice").get(pk=made.pk))
    assert not job.secrets and not job.credential.password and "canary" not in repr(job)
