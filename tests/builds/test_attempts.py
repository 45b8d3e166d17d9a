"""A failed build is built again under the same name, with all attempts listed; a commit again on request only."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from access.callers import SYSTEM
from access.problems import Problem
from builds import build_requests, execution, reports
from builds.models import Build
from callbacks.models import Callback, Delivery
from messages.rendering import literal
from microservice.models import MicroServiceVersion
from microservice.publishing import upload
from microservice.status import BuildStatus

from .buildservers import Server
from .steps import ask, pending, state

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store", "quick"), pytest.mark.found("builds")]
ENDS_BADLY = [BuildStatus.FAILED, BuildStatus.TIMEOUT]


def again(caller, version, **more):
    return caller.post(f"/services/shop/versions/{version.pk}/build", {"again": True, **more})


def test_retry_keeps_both_attempts(api, service, store):
    service.build_command = "echo first; exit 3"
    service.save()
    version, caller = pending(service), api()
    ask(caller, version)
    execution.work()
    assert state(version) == BuildStatus.FAILED
    refused = ask(caller, version)
    assert (refused.status_code, refused.json()["code"]) == (409, "build_status") and "again" in refused.json()["hint"]
    service.build_command = "echo second; cp app app2"
    service.save()
    made = again(caller, version)
    assert (made.status_code, made.json()["attempt"], state(version)) == (202, 2, BuildStatus.BUILDING)
    assert again(caller, version).json()["id"] == made.json()["id"], "a build in progress is returned as it is"
    execution.work()
    assert state(version) == BuildStatus.SUCCESS and version.build_detail == ""
    attempts = caller.get(f"/services/shop/versions/{version.pk}/builds/").json()
    assert attempts["count"] == 2
    assert [(one["attempt"], one["status_str"], one["requested_by"]) for one in attempts["data"]] == [
        (2, "success", "ann"),
        (1, "failed", "ann"),
    ]
    assert "second" in attempts["data"][0]["log"] and "first" in attempts["data"][1]["log"]
    assert "exit status 3" in attempts["data"][1]["detail"] and attempts["data"][1]["finished"]
    done = again(caller, version, even_built=True)
    assert (done.status_code, done.json()["code"]) == (409, "build_status"), "a built version is not built again"


@pytest.mark.parametrize("how", ENDS_BADLY)
@pytest.mark.parametrize("origin", ["git", "gitlab", "jenkins"])
def test_retry_after_every_end_and_origin(api, service, monkeypatch, how, origin):
    from builds import servers

    monkeypatch.setattr(servers, "check", lambda service: None)
    service.build_orig = origin
    service.save()
    version, caller = pending(service), api()
    build_requests.end(build_requests.start(SYSTEM, version), how, literal("it ended so"))
    assert again(caller, version).status_code == 202
    assert (state(version), Build.objects.filter(version=version).count()) == (BuildStatus.BUILDING, 2)
    assert Build.objects.first().origin == origin


def test_idempotency_key_makes_one_attempt(api, service):
    version, caller = pending(service), api()
    build_requests.end(build_requests.start(SYSTEM, version), BuildStatus.FAILED, literal("x"))
    path = f"/services/shop/versions/{version.pk}/build"
    first = caller.post(path, {"again": True}, Idempotency_Key="one")
    build_requests.end(Build.objects.first(), BuildStatus.FAILED, literal("at once"))
    replayed = caller.post(path, {"again": True}, Idempotency_Key="one")
    assert (first.status_code, replayed.json()) == (202, first.json()) and Build.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_concurrent_retries_make_one_attempt(service):
    version = pending(service)
    build_requests.end(build_requests.start(SYSTEM, version), BuildStatus.FAILED, literal("x"))

    def go(_):
        try:
            found = MicroServiceVersion.objects.select_related("microservice").get(pk=version.pk)
            return build_requests.start(SYSTEM, found, again=True).pk
        except Problem as problem:
            return problem.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(go, range(6)))
    assert found == {Build.objects.first().pk} and Build.objects.count() == 2


def test_rebuilding_a_commit_is_explicit(api, service):
    first, second, third = (pending(service, f"{number}.0") for number in (1, 2, 3))
    caller = api()
    ask(caller, first)
    ask(caller, second)
    execution.work()
    assert state(second) == BuildStatus.DUPLICATE
    assert again(caller, second).status_code == 409
    assert again(caller, second, even_built=True).json()["even_built"] is True
    caller.post(f"/services/shop/versions/{third.pk}/build", {"even_built": True})
    execution.work()
    assert (state(second), state(third)) == (BuildStatus.SUCCESS, BuildStatus.SUCCESS)
    assert len(set(Build.objects.filter(status=BuildStatus.SUCCESS).values_list("commit", flat=True))) == 1


def test_ignores_late_reports_of_earlier_attempts(service, settings):
    settings.BUILD_WEBHOOK_SECRET = "word"
    version = pending(service)
    old = Build.objects.create(version=version, origin="gitlab", status=BuildStatus.FAILED, reference="team/shop#7")
    MicroServiceVersion.objects.update(status=BuildStatus.BUILDING)
    new = Build.objects.create(version=version, origin="gitlab", status=BuildStatus.BUILDING)
    report = reports.ReportedState(version.pk, "team/shop#7", BuildStatus.SUCCESS)
    assert reports._apply("gitlab", report) == "unchanged"
    new.refresh_from_db()
    assert (new.status, new.reference, old.pk < new.pk) == (BuildStatus.BUILDING, "", True)
    assert reports._apply("gitlab", reports.ReportedState(version.pk, "team/shop#8", BuildStatus.SUCCESS)) == "moved"


@pytest.mark.parametrize(
    ("known", "said"), [("queue:12", "build:/job/shop/4"), ("", "build:/job/shop/4"), ("build:/job/shop/4", "")]
)
def test_ambiguous_reports_query_the_server(service, known, said):
    """Of the first attempt only the queue item is known, or the report names nothing: its end is not the second's."""
    version = pending(service)
    Build.objects.create(version=version, origin="jenkins", status=BuildStatus.TIMEOUT, reference=known)
    MicroServiceVersion.objects.update(status=BuildStatus.BUILDING)
    later = timezone.now() + timedelta(hours=1)
    new = Build.objects.create(
        version=version, origin="jenkins", status=BuildStatus.BUILDING, reference="queue:13", due=later
    )
    assert reports._apply("jenkins", reports.ReportedState(version.pk, said, BuildStatus.FAILED)) == "unchanged"
    new.refresh_from_db()
    assert (new.status, new.reference) == (BuildStatus.BUILDING, "queue:13") and new.due < later
    assert reports._apply("jenkins", reports.ReportedState(version.pk, "queue:13", BuildStatus.FAILED)) == "moved"


@pytest.mark.parametrize("name", ["gitlab", "jenkins"])
def test_does_not_adopt_starts_of_earlier_attempts(name):
    from builds import gitlab, jenkins
    from builds.providers import Job

    with Server() as server:
        url = f"{server.url}/team/shop" if name == "gitlab" else f"{server.url}/job/shop"
        one = Job(2, 1, "shop", 5, "1.0", "main", url, "", "ann")
        origin = gitlab.GitLab(server.url, "t") if name == "gitlab" else jenkins.Jenkins(server.url, "ci", "t")
        first = origin.start(one)
        found = origin.find(one)
        assert found and (name == "jenkins" or found == first)
        from dataclasses import replace

        assert origin.find(replace(one, others=frozenset({found}))) == ""


def test_reports_the_end_of_each_attempt(service):
    Callback.objects.create(url="https://x.example", events=["build.ended"], active=True)
    version = pending(service)
    for _ in range(2):
        build_requests.end(build_requests.start(SYSTEM, version, again=True), BuildStatus.FAILED, literal("x"))
        version.refresh_from_db()
    assert Delivery.objects.count() == 2


@pytest.mark.found("waiting")
def test_reports_each_end_of_a_retried_pipeline(service):
    Callback.objects.create(url="https://x.example", events=["build.ended"], active=True)
    version = pending(service)
    build = Build.objects.create(version=version, origin="gitlab", status=BuildStatus.BUILDING, reference="team/shop#7")
    MicroServiceVersion.objects.update(status=BuildStatus.BUILDING)
    for count in (1, 2):
        assert build_requests.end(build, BuildStatus.FAILED, literal("x")) and not build_requests.end(
            build, BuildStatus.FAILED, literal("late")
        )
        assert Delivery.objects.count() == count
        assert build_requests.reopen(build, "team/shop#7", "")
    assert build_requests.end(build, BuildStatus.SUCCESS)
    assert Delivery.objects.count() == 3


def test_worker_without_lease_stores_nothing(service, store, monkeypatch):
    """Its build ended and was asked for again while the package of the first attempt was on its way."""
    version = pending(service)
    first = build_requests.start(SYSTEM, version)
    real = upload.store

    def late(*args, **more):
        build_requests.end(first, BuildStatus.TIMEOUT, literal("it took too long"))
        found = MicroServiceVersion.objects.select_related("microservice").get(pk=version.pk)
        build_requests.start(SYSTEM, found, again=True)
        return real(*args, **more)

    monkeypatch.setattr(upload, "store", late)
    execution.advance(execution.claim())
    monkeypatch.setattr(upload, "store", real)
    version.refresh_from_db()
    assert (version.file_path, version.status) == ("", BuildStatus.BUILDING)
    assert not [path for path in store.rglob("*") if path.is_file()]
    execution.work()
    assert state(version) == BuildStatus.SUCCESS


def test_page_lists_and_retries_attempts(client, admin_user, service):
    client.force_login(admin_user)
    version = pending(service)
    one = build_requests.start(SYSTEM, version)
    build_requests.end(one, BuildStatus.FAILED, literal("no compiler"), log="printed by the first")
    page = f"/services/shop/versions/{version.pk}/"
    shown = client.get(page).content.decode()
    assert "Build again" in shown and "printed by the first" in shown and "Attempts" not in shown
    client.post(f"{page}build/", {"again": "on"})
    second = Build.objects.first()
    assert second.pk != one.pk and second.requested_by == "admin"
    build_requests.end(second, BuildStatus.TIMEOUT, literal("too slow"), log="printed by the second")
    shown = client.get(page).content.decode()
    assert "Attempts" in shown and "printed by the second" in shown and f"?attempt={one.pk}#build" in shown
    shown = client.get(f"{page}?attempt={one.pk}").content.decode()
    assert "printed by the first" in shown and "printed by the second" not in shown
    for wrong in ("x", "99999999", "9" * 40, "²"):
        assert client.get(page, {"attempt": wrong}).status_code == 200


def test_page_builds_a_confirmed_duplicate(client, admin_user, service):
    client.force_login(admin_user)
    version = pending(service)
    build_requests.end(build_requests.start(SYSTEM, version), BuildStatus.DUPLICATE, literal("x"))
    page = f"/services/shop/versions/{version.pk}/"
    assert 'name="even_built" required' in client.get(page).content.decode()
    client.post(f"{page}build/", {"again": "on"})
    assert Build.objects.count() == 1
    client.post(f"{page}build/", {"again": "on", "even_built": "on"})
    assert Build.objects.count() == 2 and Build.objects.first().even_built


def test_builds_long_version_and_branch_names(api, service, repository, store):
    name, branch = "a" * 100 + "+b_c." + "1" * 23, "功能/支付#42(fix)"
    assert len(name) == 128
    repository.git("checkout", "-q", "-b", branch)
    repository.commit({"app": "x"})
    caller = api()
    caller.patch("/services/shop", {"build_refs": ["功能/*"]})
    made = caller.post("/services/shop/versions/", {"version": name, "ref": branch})
    assert made.status_code == 201, made.content
    version = MicroServiceVersion.objects.get()
    ask(caller, version)
    execution.work()
    assert state(version) == BuildStatus.SUCCESS, version.build_detail
    assert (store / version.file_path).exists() and version.file_path.startswith(f"shop/{name}-")
    assert caller.get(f"/services/shop/versions/?ref={branch.replace('#', '%23')}").json()["count"] == 1
    assert caller.post("/services/shop/versions/", {"version": "a" * 129, "ref": "x"}).status_code == 422
    assert json.dumps(caller.get("/services/shop").json()["build_refs"], ensure_ascii=False) == '["功能/*"]'
