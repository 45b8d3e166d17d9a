"""The causes of a deployment's failures: listed, filtered by, and retried one by one."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from deployer.engine.codes import Code, error, reason
from messages import Message
from microservice.deployments.failures import MAX_CAUSES, MAX_HOSTS
from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import DeploymentStatus, OperationStatus
from tests import factories
from worker import results

pytestmark = pytest.mark.django_db


def said(words: str) -> Message:
    return error(Code.STEP_FAILED, step="start", reason=reason("exit_status", status=1), said=words)


def end(deployment: Deployment, words: list[str], step: str = "start") -> None:
    """End every operation as a worker would: undone, with what its host said, or well where that is ""."""
    rows = list(deployment.operations.select_related("deployment", "host").order_by("pk"))
    ends = [
        results.OperationResult(row, OperationStatus.UNDONE, error=said(text), error_step=step)
        if text
        else results.OperationResult(row, OperationStatus.SUCCEEDED)
        for row, text in zip(rows, words, strict=True)
    ]
    with transaction.atomic():
        results.record_results(ends)
    deployment.refresh_from_db()


@pytest.fixture
def failed():
    """Six hosts: one is well, three said the same of themselves, two something else."""
    deployment = factories.running(6)
    names = list(deployment.operations.order_by("pk").values_list("host__hostname", flat=True))
    words = ["", *(f"{names[at]}: port {8000 + at} is in use" for at in (1, 2, 3)), "no licence", "no licence"]
    end(deployment, words)
    assert deployment.status == DeploymentStatus.FAILED
    return deployment


def causes(api, deployment: Deployment) -> list[dict]:
    return api("read").get(f"/deployments/{deployment.pk}/causes/").json()["data"]


def test_hosts_that_failed_alike_are_one_line(api, failed):
    shown = causes(api, failed)
    operations = list(failed.operations.order_by("pk"))
    assert [(row["step"], row["count"], row["counts"]["undone"]) for row in shown] == [
        ("start", 3, 3),
        ("start", 2, 2),
    ]
    assert "port 8001 is in use" in shown[0]["error"] and "no licence" in shown[1]["error"]
    assert [row["operation_id"] for row in shown] == [operations[1].pk, operations[4].pk]
    assert [host["operation_id"] for host in shown[0]["hosts"]] == [row.pk for row in operations[1:4]]
    assert {row.cause for row in operations} == {"", shown[0]["cause"], shown[1]["cause"]}


def test_a_host_that_was_left_broken_comes_first(api, failed):
    rare = causes(api, failed)[1]["cause"]
    Operation.objects.filter(pk=failed.operations.filter(cause=rare).last().pk).update(status=OperationStatus.FAILED)
    shown = causes(api, failed)
    assert [(row["cause"] == rare, row["counts"]["failed"]) for row in shown] == [(True, 1), (False, 0)]


def test_the_same_words_at_another_step_are_another_cause(api):
    deployment = factories.running(2)
    first = deployment.operations.order_by("pk").first()
    end_one = [results.OperationResult(first, OperationStatus.UNDONE, error=said("no licence"), error_step="check")]
    with transaction.atomic():
        results.record_results(end_one)
    rest = deployment.operations.exclude(pk=first.pk).select_related("deployment", "host").get()
    with transaction.atomic():
        results.record_results(
            [results.OperationResult(rest, OperationStatus.UNDONE, error=said("no licence"), error_step="start")]
        )
    assert sorted(row["step"] for row in causes(api, deployment)) == ["check", "start"]


def test_operations_are_filtered_by_cause(api, failed):
    cause = causes(api, failed)[1]["cause"]
    rows = api().get(f"/deployments/{failed.pk}/operations/?cause={cause}").json()["data"]
    assert len(rows) == 2 and {row["cause"] for row in rows} == {cause}


def test_one_cause_is_retried_and_no_more(api, failed):
    cause = causes(api, failed)[1]["cause"]
    answer = api("deploy").post(f"/deployments/{failed.pk}/retry", {"cause": cause})
    assert answer.status_code == 202, answer.json()
    again = Deployment.objects.get(pk=answer.json()["id"])
    origins = set(again.operations.values_list("origin", flat=True))
    assert origins == set(failed.operations.filter(cause=cause).values_list("pk", flat=True)) and len(origins) == 2
    assert MicroServiceInstance.objects.filter(locked=True).count() == 2
    rest = api("deploy").post(f"/deployments/{failed.pk}/retry", {})
    assert Deployment.objects.get(pk=rest.json()["id"]).operations.count() == 3, "what is left"


@pytest.mark.parametrize("cause", ["0123456789abcdef", "x", "x" * 17, 7, None, ["a"]])
def test_unknown_cause_is_refused_at_its_field(api, failed, cause):
    answer = api("deploy").post(f"/deployments/{failed.pk}/retry", {"cause": cause})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/cause")
    assert not MicroServiceInstance.objects.filter(locked=True).exists()


def test_hosts_that_do_not_answer_are_contacted_by_cause(api):
    deployment = factories.running(2)
    rows = list(deployment.operations.select_related("deployment", "host").order_by("pk"))
    away = [error(Code.UNREACHABLE, where=row.host.hostname, reason=reason("timed_out")) for row in rows]
    gone = error(Code.KEY_CHANGED, where=rows[1].host.hostname, pinned="a", offered="b")
    with transaction.atomic():
        results.record_results(
            [
                results.OperationResult(rows[0], OperationStatus.UNKNOWN, error=away[0]),
                results.OperationResult(rows[1], OperationStatus.UNKNOWN, error=gone),
            ]
        )
    first, second = Operation.objects.order_by("pk")
    assert first.due and second.due and first.cause != second.cause
    before = second.due
    assert api("deploy").post(f"/deployments/{deployment.pk}/retry", {"cause": first.cause}).status_code == 202
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.due < before and second.due == before


def test_number_of_statements_does_not_depend_on_the_number_of_failures(api):
    def statements(hosts: int, kinds: int) -> int:
        deployment = factories.running(hosts, name=f"shop{hosts}")
        end(deployment, [f"licence {chr(97 + at % kinds) * 3} is missing" for at in range(hosts)])
        with CaptureQueriesContext(connection) as asked:
            shown = api("read", name=f"ann{hosts}").get(f"/deployments/{deployment.pk}/causes/").json()
        assert len(shown["data"]) == min(kinds, MAX_CAUSES) and shown["more"] == max(0, kinds - MAX_CAUSES)
        assert all(len(row["hosts"]) <= MAX_HOSTS for row in shown["data"])
        return len(asked)

    assert statements(3, 2) == statements(60, 24)


def test_of_another_team_is_not_found(api, failed):
    assert (
        api("read", services=[factories.service("other").pk]).get(f"/deployments/{failed.pk}/causes/").status_code
        == 404
    )


@pytest.mark.parametrize(("body", "count"), [({}, 4), ({"force": True}, 5)])
def test_retry_takes_maintenance_only_by_force(api, failed, body, count):
    one = Operation.objects.filter(deployment=failed).exclude(error="").first()
    MicroServiceInstance.objects.filter(pk=one.instance_id).update(is_maintain=True)
    answer = api("deploy").post(f"/deployments/{failed.pk}/retry", body)
    assert answer.status_code == 202
    assert Deployment.objects.get(pk=answer.json()["id"]).operations.count() == count
    assert [one["code"] for one in answer.json()["skipped"]] == ["in_maintenance"] * (5 - count)
