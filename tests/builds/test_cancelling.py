"""A cancelled build ends here at once and soon where it runs, and nothing revives it."""

import io
import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from access.callers import SYSTEM, Caller
from access.problems import Problem
from audit.models import History
from builds import build_requests, cancelling, execution, reports
from builds.models import Build
from callbacks.models import Callback, Delivery
from microservice.models import MicroServiceVersion
from microservice.publishing import upload
from microservice.status import BuildStatus
from tests import factories
from tests.api.archives import GOOD
from tests.lab.network import wait_until

from .repository import Repository
from .steps import ANN, moved, pending, requested, state
from .test_sandbox import running

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick"), pytest.mark.found("builds")]
SERVERS = pytest.mark.parametrize("origin", ["gitlab", "jenkins"])


def watched(build) -> Build:
    """Return the build after a worker has looked after it once more."""
    Build.objects.filter(pk=build.pk).update(due=timezone.now() - timedelta(seconds=1), lease=None)
    execution.work()
    return Build.objects.get(pk=build.pk)


def cancelled_at(server) -> list[str]:
    ends = ("/cancel", "/stop", "/cancelItem")
    return [path for method, path, _ in server.requests if method == "POST" and path.endswith(ends)]


def version_of(build) -> MicroServiceVersion:
    return MicroServiceVersion.objects.select_related("microservice").get(pk=build.version_id)


def test_cancels_once_and_says_who_and_why(api, service):
    Callback.objects.create(url="https://x.example", events=["build.ended"], active=True)
    version, caller = pending(service), api()
    path = f"/services/shop/versions/{version.pk}/build"
    assert caller.post(f"{path}/cancel").status_code == 404, "never built"
    caller.post(path)
    first = caller.post(f"{path}/cancel", {"reason": "wrong branch"})
    second = caller.post(f"{path}/cancel", {"reason": "again"})
    assert (first.status_code, second.json()) == (200, first.json())
    told = first.json()
    assert (told["status_str"], told["detail_code"]) == ("failed", "build_cancelled.reason")
    assert told["detail"] == "Cancelled by ann: wrong branch"
    assert state(version) == BuildStatus.FAILED and Delivery.objects.count() == 1
    row = History.objects.get(action="cancel")
    assert (row.actor, row.subject_id, row.reason) == ("ann", version.pk, "wrong branch")
    assert execution.work() == 0
    again = caller.post(path, {"again": True})
    assert (again.status_code, again.json()["attempt"]) == (202, 2)


def test_refuses_a_build_that_has_ended_otherwise(api, service, store):
    version, caller = pending(service), api()
    build = build_requests.start(ANN, version)
    execution.work()
    path = f"/services/shop/versions/{version.pk}/build/cancel"
    assert (caller.post(path).status_code, caller.post(path).json()["code"]) == (409, "build_status")
    assert caller.post(path, {"reason": "x" * 501}).status_code == 422
    Build.objects.filter(pk=build.pk).update(status=BuildStatus.BUILDING)  # its worker has not written the end yet
    assert caller.post(path).status_code == 409
    assert (state(version), Build.objects.get().status) == (BuildStatus.SUCCESS, BuildStatus.BUILDING)


def test_needs_the_right_to_build(api, service):
    version = pending(service)
    build_requests.start(ANN, version)
    path = f"/services/shop/versions/{version.pk}/build/cancel"
    assert api("read").post(path).status_code == 403
    assert Build.objects.get().status == BuildStatus.PENDING


@pytest.mark.django_db(transaction=True)
def test_ends_a_running_build_within_seconds(tmp_path, store):
    repository, mark = Repository(tmp_path / "repository"), f"200.{timezone.now().microsecond}"
    service = factories.service("shop", build_url=repository.url, build_command=f"echo begun; sleep {mark}")
    version = pending(service)
    build = build_requests.start(ANN, version)
    worker = threading.Thread(target=execution.work)
    worker.start()
    wait_until(lambda: running(mark), 30, "the build having begun")
    cancelling.cancel(ANN, version)
    wait_until(lambda: not running(mark), 4, "the build having been ended")
    worker.join(10)
    assert not worker.is_alive()
    build.refresh_from_db()
    assert (build.status, build.detail_code, build.owner) == (BuildStatus.FAILED, "build_cancelled", "")


@SERVERS
def test_cancels_at_the_build_server(server, configured, origin):
    server.queue["executable"] = {"url": f"{server.url}/job/shop/4/"}
    build = moved(requested(origin, server))
    assert build.status == BuildStatus.BUILDING
    server.lingers = True
    cancelling.cancel(ANN, version_of(build))
    build = watched(build)
    assert len(cancelled_at(server)) == 1 and build.watched_until, "it still runs there"
    server.lingers = False
    build = watched(build)
    assert len(cancelled_at(server)) == 2 and build.watched_until is None
    assert (build.status, build.detail) == (BuildStatus.FAILED, "Cancelled by ann.")
    assert watched(build) and len(cancelled_at(server)) == 2


def test_cancels_a_queued_item_of_jenkins(server, configured):
    build = moved(requested("jenkins", server))
    assert build.reference.startswith("queue:")
    cancelling.cancel(ANN, version_of(build))
    assert watched(build).watched_until is None and cancelled_at(server) == ["/queue/cancelItem"]


@SERVERS
def test_cancels_once_its_server_is_back(server, configured, origin):
    build = moved(requested(origin, server))
    cancelling.cancel(ANN, version_of(build), "too old")
    server.broken = 403
    build = watched(build)
    assert build.watched_until and build.detail_code == "build_cancelled.runs_on" and "403" in build.detail
    server.broken = None
    wait_until(lambda: watched(build).watched_until is None, 20, "the build having ended at its server")
    build.refresh_from_db()
    assert build.detail == "Cancelled by ann: too old"


@SERVERS
def test_cancels_what_starts_meanwhile(server, configured, origin, monkeypatch):
    """The build is cancelled while its server is asked to start it: the reference arrives after the end."""
    build = requested(origin, server)
    provider = type(execution.servers.provider_of(origin))
    real = provider.start

    def start(self, job):
        reference = real(self, job)
        cancelling.cancel(ANN, version_of(build))
        return reference

    monkeypatch.setattr(provider, "start", start)
    execution.work()
    build = watched(build)
    assert build.is_cancelled and build.reference and cancelled_at(server) and build.watched_until is None


@SERVERS
def test_starts_nothing_after_it_was_cancelled(server, configured, origin, monkeypatch):
    build = requested(origin, server)
    real = execution.job_of
    monkeypatch.setattr(execution, "job_of", lambda row: (cancelling.cancel(ANN, version_of(build)), real(row))[1])
    execution.work()
    assert not [path for method, path, _ in server.requests if method == "POST"]


@SERVERS
def test_finds_a_start_that_was_not_confirmed(server, configured, origin):
    build = moved(requested(origin, server))
    Build.objects.update(reference="")  # as if the answer had been lost
    cancelling.cancel(ANN, version_of(build))
    build = watched(build)
    assert build.reference and cancelled_at(server) and build.watched_until is None


@SERVERS
def test_nothing_revives_a_cancelled_build(server, configured, origin, store):
    build = moved(requested(origin, server))
    version = version_of(build)
    cancelling.cancel(ANN, version)
    reference = Build.objects.get().reference
    report = reports.ReportedState(version.pk, reference, BuildStatus.SUCCESS)
    assert reports._apply(origin, report) == "unchanged"
    server.status = "success"
    server.build.update(building=False, result="SUCCESS")
    build = watched(build)
    assert (build.status, state(version)) == (BuildStatus.FAILED, BuildStatus.FAILED)
    assert not build_requests.reopen(build, reference, "")
    for known in (version, version_of(build)):  # one was read before it was cancelled
        known.build_detail_code = "" if known is version else known.build_detail_code
        with pytest.raises(Problem) as problem:
            upload.store(Caller(name="ci", scopes=SYSTEM.scopes), known, upload.Body(io.BytesIO(GOOD), len(GOOD)))
        assert problem.value.status == 409
    assert state(version) == BuildStatus.FAILED


def test_cancelled_attempt_is_ended_beside_a_new_one(server, configured):
    build = moved(requested("gitlab", server))
    version = version_of(build)
    cancelling.cancel(ANN, version)
    build_requests.start(ANN, version_of(build), again=True)
    execution.work()
    assert cancelled_at(server) == ["/api/v4/projects/team/shop/pipelines/7/cancel"]
    assert Build.objects.first().reference == "team/shop#8"


def test_page_cancels(client, admin_user, service):
    client.force_login(admin_user)
    version = pending(service)
    page = f"/services/shop/versions/{version.pk}/"
    assert "Cancel build" not in client.get(page).content.decode()
    build_requests.start(SYSTEM, version)
    shown = client.get(page).content.decode()
    assert 'data-opens="sure-cancel"' in shown and f"{page}build/cancel/" in shown
    client.post(f"{page}build/cancel/", {"reason": "wrong"})
    shown = client.get(page).content.decode()
    assert "Cancelled by admin: wrong" in shown and "Build again" in shown and "sure-cancel" not in shown
