"""The results of Celery tasks, written to their table in batches."""

import pytest
from celery import states
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django_celery_results.models import TaskResult

from runtime.celery_app import app
from runtime.result_backend import BatchedResults

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def records():
    made = BatchedResults(app=app)
    made._thread = object()  # no thread of its own: this test says when it writes
    return made


def inserts(records) -> int:
    with CaptureQueriesContext(connection) as queries:
        records.write()
    return sum(query["sql"].startswith("INSERT") for query in queries)


def test_writes_results_in_one_statement(records):
    for name in ("a", "b", "c"):
        records.store_result(name, None, states.STARTED)
    assert inserts(records) == 1
    for name in ("a", "b", "d"):
        records.store_result(name, 3, states.SUCCESS)
    records.store_result("e", None, states.STARTED)
    records.store_result("e", ValueError("no"), states.FAILURE, traceback="here")
    assert inserts(records) == 1
    found = {row.task_id: row for row in TaskResult.objects.all()}
    assert {name: row.status for name, row in found.items()} == {
        "a": "SUCCESS",
        "b": "SUCCESS",
        "c": "STARTED",
        "d": "SUCCESS",
        "e": "FAILURE",
    }
    assert found["a"].result == "3" and found["e"].traceback == "here"
    assert found["a"].date_started and found["a"].date_started <= found["a"].date_done and found["e"].date_started


def test_keeps_results_until_database_takes_them(records, monkeypatch):
    def refuse(*_, **__):
        raise DatabaseError

    records.store_result("a", None, states.STARTED)
    with monkeypatch.context() as patched, pytest.raises(DatabaseError):
        patched.setattr(TaskResult.objects, "bulk_create", refuse)
        records.write()
    records.store_result("a", 1, states.SUCCESS)
    records.write()
    assert TaskResult.objects.get().status == "SUCCESS"
