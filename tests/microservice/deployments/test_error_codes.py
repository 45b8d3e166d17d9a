"""The migration that gives operations of older releases an error code, derived from our own sentences."""

import importlib
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from microservice.models import Operation
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.found("output")]
migration = importlib.import_module("microservice.migrations.0015_encoding_and_error_codes")

ERRORS = [
    ("10.0.0.1:22 cannot be reached: timed out.", "", "unreachable"),
    ("web1 has no credential, so nobody can log in. Nothing was changed on the host.", "", "no_credential"),
    ("10.0.0.1:22 shows another host key than the pinned one: pinned a, offered b.", "", "key_changed"),
    ("The lock was broken by ada: it cannot be reached: x", "", "lock_broken"),
    ("start failed with exit status 143: ended after 30 s", "start", "timeout"),
    ("start failed: ended after 30 s without output", "start", "idle"),
    ("check failed with exit status 1: not passed within 20 s; exit status 1: ended after 3 s", "check", "unchecked"),
    ("start failed with exit status 1: exit status 1: ended after 30 s", "start", "step_failed"),
    ("start failed with exit status 1: exit status 1: h cannot be reached: x", "start", "step_failed"),
    ("Something else.", "", ""),
    ("", "", ""),
]


def test_migration_adds_error_codes(capsys):
    rows = list(Operation.objects.filter(deployment=factories.running(len(ERRORS))).order_by("pk"))
    for row, (error, step, _) in zip(rows, ERRORS, strict=True):
        Operation.objects.filter(pk=row.pk).update(error=error, error_step=step)
    migration.give_codes(apps, SimpleNamespace(connection=connection))
    codes = list(Operation.objects.order_by("pk").values_list("error_code", flat=True))
    assert codes == [code for _, _, code in ERRORS]
    output = capsys.readouterr().out
    assert "1 unreachable" in output and "2 step_failed" in output
    migration.give_codes(apps, SimpleNamespace(connection=connection))
    assert not capsys.readouterr().out
