"""Deployments through the API: request, progress, waiting for the end, and cancelling."""

import threading
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.models import Token
from microservice import event_stream
from microservice.models import Deployment, Operation, Step
from microservice.status import Action, DeploymentStatus, OperationStatus
from tests import factories
from tests.lab.network import wait_until

pytestmark = pytest.mark.django_db


def ended(count=3, status=OperationStatus.SUCCEEDED, name="shop", **more):
    deployment = factories.running(count, name)
    deployment.operations.update(status=status)
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.SUCCEEDED, **more)
    deployment.refresh_from_db()
    return deployment


def test_counts_operations_by_status(api):
    deployment = factories.running(4)
    first, second, *_ = deployment.operations.all()
    Operation.objects.filter(pk=first.pk).update(status=OperationStatus.NOT_STARTED)
    Operation.objects.filter(pk=second.pk).update(status=OperationStatus.UNDONE)
    shown = api("read").get(f"/deployments/{deployment.pk}").json()
    counts = {"not_started": 1, "undone": 1, "running": 2}
    assert {word: number for word, number in shown["counts"].items() if number} == counts
    assert set(shown["counts"]) == set(OperationStatus.values)
    assert (shown["service"], shown["status"], shown["action"]) == ("shop", "running", "upgrade")
    assert (shown["from_version_str"], shown["dest_version_str"], shown["finished"]) == ("1.0", "2.0", None)
    assert api().get("/deployments/").json()["data"] == [shown]


def test_lists_and_filters_deployments(api):
    one, two = factories.running(), ended(name="other")
    Deployment.objects.filter(pk=two.pk).update(action=Action.REVERT)
    for query, expected in [
        ("", [two, one]),
        ("service=shop", [one]),
        (f"service={two.microservice_id}", [two]),
        ("status=running", [one]),
        ("status=succeeded", [two]),
        ("action=revert", [two]),
        ("action=retry", []),
    ]:
        found = api().get(f"/deployments/?{query}").json()
        assert [row["id"] for row in found["data"]] == [row.pk for row in expected], query
    for query in ("status=done", "action=fly", "service=-", "limit=x"):
        assert api().get(f"/deployments/?{query}").status_code == 422
    assert api().get("/deployments/?service=nobody").status_code == 404


def test_lists_have_constant_queries(api):
    def cost(path):
        with CaptureQueriesContext(connection) as queries:
            assert caller.get(path).status_code == 200
        return len(queries)

    caller = api()
    big = factories.running(20)
    for operation in big.operations.all():
        Step.objects.bulk_create([Step(operation=operation, position=n, name=f"step{n}") for n in range(5)])
    for number in range(5):
        factories.running(name=f"s{number}")
    caller.get("/deployments/")
    assert cost("/deployments/?limit=1") == cost("/deployments/?limit=6") <= 6
    operations = f"/deployments/{big.pk}/operations/"
    assert cost(operations + "?limit=1") == cost(operations + "?limit=20") <= 7


def test_shows_steps_in_order(api):
    deployment = factories.running(2)
    one, two = deployment.operations.all()
    Step.objects.create(
        operation=one, position=1, name="stop", status="failed", exit_status=7, old_state="up", detail="why"
    )
    Step.objects.create(operation=one, position=0, name="prepare", status="done")
    Operation.objects.filter(pk=one.pk).update(status=OperationStatus.UNDONE, error="stop failed", error_step="stop")
    found = api().get(f"/deployments/{deployment.pk}/operations/").json()
    shown = found["data"][0]
    assert [row["id"] for row in found["data"]] == [one.pk, two.pk] and found["count"] == 2
    assert [step["name"] for step in shown["steps"]] == ["prepare", "stop"]
    assert (shown["steps"][1]["exit_status"], shown["steps"][1]["old_state"]) == (7, "up")
    assert (shown["status"], shown["error"], shown["host"]) == ("undone", "stop failed", str(one.host))
    assert (shown["instance_id"], shown["attempt"], shown["undo_status"]) == (one.instance_id, 1, "none")
    only = api().get(f"/deployments/{deployment.pk}/operations/?status=undone").json()
    assert [row["id"] for row in only["data"]] == [one.pk]
    assert api().get(f"/deployments/{deployment.pk}/operations/?status=sad").status_code == 422
    assert api().get(f"/operations/{one.pk}").json() == shown


def test_deployment_of_another_service_is_not_found(api):
    mine, other = factories.running(), factories.running(name="other")
    only = api(services=[mine.microservice_id])
    operation = other.operations.get()
    for path in (
        f"/deployments/{other.pk}",
        f"/deployments/{other.pk}/operations",
        f"/deployments/{other.pk}/events",
        f"/operations/{operation.pk}",
        f"/operations/{operation.pk}/log",
        "/deployments/999999",
    ):
        assert only.get(path).status_code == 404, path
    for verb in ("cancel", "pause", "resume", "retry", "revert"):
        assert only.post(f"/deployments/{other.pk}/{verb}").status_code == 404
        assert api("read").post(f"/deployments/{other.pk}/{verb}").status_code == 403
    assert [row["id"] for row in only.get("/deployments/").json()["data"]] == [mine.pk]
    assert Deployment.objects.get(pk=other.pk).status == "running"


def test_pauses_resumes_and_cancels(api):
    deployment = factories.running(2)
    deployment.operations.update(status=OperationStatus.QUEUED)
    caller = api("deploy")
    assert caller.post(f"/deployments/{deployment.pk}/pause").json()["status"] == "paused"
    resumed = caller.post(f"/deployments/{deployment.pk}/resume")
    assert resumed.status_code == 200 and resumed.json()["status"] in ("queued", "running")
    cancelled = caller.post(f"/deployments/{deployment.pk}/cancel").json()
    assert cancelled["status"] in ("cancelling", "cancelled")
    assert caller.post(f"/deployments/{deployment.pk}/resume").status_code == 409


def test_retry_and_revert_create_deployments(api):
    done = ended(2)
    for operation in done.operations.all():
        type(operation.instance).objects.filter(pk=operation.instance_id).update(version=done.dest_version)
    answer = api().post(f"/deployments/{done.pk}/revert")
    assert answer.status_code == 202, answer.content
    back = answer.json()
    assert answer["Location"] == f"/api/v1/deployments/{back['id']}" and back["id"] != done.pk
    assert (back["action"], back["origin_id"], back["dest_version"]) == ("revert", done.pk, done.from_version_id)
    assert api().post(f"/deployments/{done.pk}/retry").json()["code"] == "nothing_to_do"
    assert api().post(f"/deployments/{back['id']}/retry").json()["code"] == "deployment_open"
    Deployment.objects.filter(pk=done.pk).update(action=Action.INSTALL)
    assert api().post(f"/deployments/{done.pk}/revert").status_code == 422


# --- waiting ----------------------------------------------------------------------------------------------------------


NOT_WAITED = 25  # seconds: less than the 30 that are asked for, and room for a busy machine


def test_wait_returns_at_once_for_ended_deployments(api):
    deployment, started = ended(), time.monotonic()
    assert api().get(f"/deployments/{deployment.pk}?wait=30").json()["status"] == "succeeded"
    assert time.monotonic() - started < NOT_WAITED


@pytest.mark.parametrize("wait", ["31", "-1", "x", "1.5"])
def test_wait_has_limits(api, wait):
    assert api().get(f"/deployments/{ended().pk}?wait={wait}").status_code == 422


@pytest.mark.django_db(transaction=True)
def test_wait_returns_at_the_end(api):
    deployment, caller = factories.running(), api()

    def end():
        time.sleep(0.8)
        Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.FAILED)
        factories.event(deployment, "deployment", status="failed")
        connection.close()

    ending, started = threading.Thread(target=end), time.monotonic()
    ending.start()
    shown = caller.get(f"/deployments/{deployment.pk}?wait=30").json()
    took = time.monotonic() - started
    ending.join()
    assert shown["status"] == "failed" and 0.7 < took < NOT_WAITED
    assert event_stream.broadcaster.subscriber_count == 0


@pytest.mark.django_db(transaction=True)
def test_wait_rechecks_access(api):
    deployment, caller = factories.running(), api()

    def end():
        wait_until(lambda: event_stream.broadcaster.subscriber_count)
        Token.objects.update(revoked=timezone.now())
        Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.FAILED)
        connection.close()

    ending = threading.Thread(target=end)
    ending.start()
    assert caller.get(f"/deployments/{deployment.pk}?wait=30").status_code == 401
    ending.join()


@pytest.mark.django_db(transaction=True)
def test_wait_ends_without_an_event(api):
    deployment, caller, started = factories.running(), api(), time.monotonic()
    assert caller.get(f"/deployments/{deployment.pk}?wait=1").json()["status"] == "running"
    assert time.monotonic() - started > 0.9
    started = time.monotonic()
    silent = threading.Timer(
        0.3,
        lambda: (
            Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.FAILED),
            connection.close(),
        ),
    )
    silent.start()
    assert caller.get(f"/deployments/{deployment.pk}?wait=30").json()["status"] == "failed"
    silent.join()
    assert time.monotonic() - started < NOT_WAITED


@pytest.mark.django_db(transaction=True)
def test_wait_without_a_free_slot_returns_at_once(api, monkeypatch):
    monkeypatch.setattr(event_stream, "broadcaster", event_stream.Broadcaster(slots=0))
    deployment, caller, started = factories.running(), api(), time.monotonic()
    answer = caller.get(f"/deployments/{deployment.pk}?wait=30")
    assert (answer.json()["status"], answer["Retry-After"]) == ("running", "2")
    assert time.monotonic() - started < NOT_WAITED
