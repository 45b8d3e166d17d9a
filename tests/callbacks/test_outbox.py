"""Which event is queued for which callback: once, with its data, in the transaction of the change."""

import json

import pytest
from django.db import transaction

from access.callers import SYSTEM
from audit import events
from callbacks.models import Delivery
from messages.rendering import literal
from microservice import notify
from microservice.deployments import advance, control
from microservice.models import Step
from microservice.publishing import versions
from microservice.status import BuildStatus, DeploymentStatus, OperationStatus, StepStatus, UndoStatus
from tests import factories

from .factories import create_callback, enqueue

pytestmark = pytest.mark.django_db


def names() -> list[str]:
    return sorted(Delivery.objects.values_list("event", flat=True))


def test_rolled_back_events_are_not_queued():
    create_callback("https://example.org/")
    with pytest.raises(RuntimeError), transaction.atomic():
        enqueue()
        raise RuntimeError
    assert names() == []


def test_an_event_is_queued_once():
    create_callback("https://example.org/")
    enqueue()
    enqueue()
    assert names() == ["deployment.ended"]


def test_queues_subscribed_events_only():
    create_callback("https://example.org/", events=["lock.broken"])
    create_callback("https://example.org/", active=False)
    enqueue()
    assert names() == []


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (DeploymentStatus.SUCCEEDED, "deployment.ended"),
        (DeploymentStatus.CANCELLED, "deployment.ended"),
        (DeploymentStatus.FAILED, "deployment.failed"),
    ],
)
def test_queues_start_and_end_of_a_deployment(status, event):
    create_callback("https://example.org/")
    made = factories.running()
    made.status = DeploymentStatus.QUEUED
    notify.publish([advance.set_status(made, DeploymentStatus.RUNNING)])
    assert names() == ["deployment.started"]
    if status == DeploymentStatus.CANCELLED:
        notify.publish([advance.set_status(made, DeploymentStatus.CANCELLING)])
    notify.publish([advance.set_status(made, status, literal("because"))])
    assert names() == sorted(["deployment.started", event])
    data = json.loads(Delivery.objects.get(event=event).body)["data"]["deployment"]
    assert (data["service"], data["status"], data["reason"]) == ("shop", str(status), "because")


def test_queues_failed_and_undone_operations():
    create_callback("https://example.org/")
    made = factories.running(4)
    operations = list(made.operations.all())
    ends = (OperationStatus.FAILED, OperationStatus.UNDONE, OperationStatus.SUCCEEDED, OperationStatus.CANCELLED)
    for operation, status in zip(operations, ends, strict=True):
        operation.status, operation.error = status, "it broke"
    notify.publish([events.of_operation(operation) for operation in operations])
    assert names() == ["instance.failed"] * 2
    data = json.loads(Delivery.objects.first().body)["data"]
    assert (data["operation"]["error"], data["deployment"]["service"]) == ("it broke", "shop")


def test_says_what_the_failed_step_came_to_and_its_undo():
    create_callback("https://example.org/")
    operation = factories.running().operations.get()
    undone = {"undo_status": UndoStatus.UNDONE, "undo_exit_status": 0}
    for position, (name, status) in enumerate([("stop", StepStatus.DONE), ("start", StepStatus.FAILED)]):
        exit_status = 7 if status == StepStatus.FAILED else 0
        Step.objects.create(
            operation=operation, position=position, name=name, status=status, exit_status=exit_status, **undone
        )
    operation.status, operation.undo_status, operation.error_step = OperationStatus.UNDONE, UndoStatus.UNDONE, "start"
    notify.publish([events.of_operation(operation)])
    told = json.loads(Delivery.objects.get().body)["data"]["operation"]
    assert told["failed_step"] == {"name": "start", "status": "failed", "exit_status": 7, **undone}
    assert (told["status"], told["undo_status"], told["error_step"]) == ("undone", "undone", "start")


def test_queues_many_events_in_few_statements(django_assert_max_num_queries):
    create_callback("https://example.org/")
    made = factories.running(40)
    operations = list(made.operations.all())
    for operation in operations:
        operation.status = OperationStatus.FAILED
    with django_assert_max_num_queries(8):  # two looks for callbacks, three for data, one insert, one of the events
        notify.publish([events.of_operation(operation) for operation in operations])
    assert len(names()) == 40


def test_costs_at_most_one_query_without_callbacks(django_assert_num_queries):
    operation = factories.running().operations.get()
    for status, statements in ((OperationStatus.FAILED, 1), (OperationStatus.SUCCEEDED, 0)):
        operation.status = status
        with django_assert_num_queries(statements):
            notify.queue_callbacks([events.of_operation(operation)])


def test_queues_force_unlock():
    create_callback("https://example.org/")
    instance = factories.running().operations.get().instance
    instance.locked, instance.lock_deployment = True, instance.operations.get().deployment
    instance.save()
    control.break_lock(SYSTEM, instance, "it hangs")
    data = json.loads(Delivery.objects.get(event="lock.broken").body)["data"]
    assert (data["reason"], data["broken_by"]) == ("it hangs", "system")


def test_queues_end_of_a_build():
    create_callback("https://example.org/")
    version = factories.versions(factories.service(), 1, BuildStatus.PENDING)[0]
    version.microservice = factories.MicroService.objects.get()
    versions.change(SYSTEM, version, {"status": BuildStatus.BUILDING})
    assert names() == []
    versions.change(SYSTEM, version, {"status": BuildStatus.FAILED})
    assert json.loads(Delivery.objects.get().body)["data"]["version"]["status_str"] == "failed"
