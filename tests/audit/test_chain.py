"""The chain of the history: every change of its rows from outside is found and named."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.callers import Caller
from audit import chain
from audit.history import record, record_alike
from audit.models import History, HistoryHead
from microservice.models import MicroService

ADA = Caller(name="ada", address="192.0.2.7")


def rows(number: int = 6) -> list[History]:
    for n in range(number):
        record(
            ADA,
            "change",
            "service",
            None,
            {"n": n, "text": "früher"},
            {"n": n + 1, "list": [1, None, True]},
            subject_name=f"service {n}",
            reason="it was due",
        )
    chain.seal()
    return list(History.objects.order_by("position"))


def verified(*options: str) -> tuple[int, str]:
    """Return the exit status and the output of the command."""
    output = StringIO()
    try:
        call_command("verify_history", *options, stdout=output)
    except SystemExit as end:
        return int(end.code or 0), output.getvalue()
    return 0, output.getvalue()


@pytest.mark.django_db
def test_verifies_an_intact_chain():
    assert verified()[0] == 0
    rows()
    status, output = verified()
    assert status == 0 and output.startswith("6 rows, all as written.")
    noted = output.split()[-1]
    rows(2)
    assert verified("--seen", noted)[0] == 0
    assert verified("--seen", noted[:-1] + ("0" if noted[-1] != "0" else "1"))[0] == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"actor": "mallory"},
        {"address": ""},
        {"action": "delete"},
        {"subject": "host"},
        {"subject_id": 4},
        {"subject_name": "another"},
        {"before": None},
        {"after": {"n": 4, "list": [1, None, False]}},
        {"reason": ""},
        {"created": timezone.now() - timedelta(days=1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_names_changed_rows(change):
    third = rows()[2]
    History.objects.filter(pk=third.pk).update(**change)
    status, output = verified()
    assert (
        status == 1
        and output.count("\n") == 1
        and output.startswith(f"Row {third.pk} (position 3,")
        and "changed" in output
    )


@pytest.mark.django_db
def test_names_rows_changed_with_their_digest():
    third = rows()[2]
    third.actor = "mallory"
    third.digest = chain.digest(third)
    third.save()
    assert verified()[0] == 1 and f"Row {third.pk} (position 3," in verified()[1]


@pytest.mark.django_db
def test_names_missing_positions():
    there = rows(8)
    History.objects.filter(pk__in=[there[2].pk, there[4].pk, there[5].pk, there[7].pk]).delete()
    status, output = verified()
    assert status == 1
    assert [line.partition(" missing")[0] for line in output.splitlines()] == [
        "Position 3 is",
        "Positions 5 to 6 are",
        "Position 8 is",
    ]


@pytest.mark.django_db
def test_finds_reordered_inserted_and_truncated_rows():
    first, second, *_ = rows()
    for row, place in ((first, None), (second, 1), (first, 2)):
        History.objects.filter(pk=row.pk).update(position=place)
    status, output = verified()
    assert status == 1 and f"Row {first.pk} (position 2," in output and f"Row {second.pk} (position 1," in output
    for row, place in ((first, None), (second, 2), (first, 1)):
        History.objects.filter(pk=row.pk).update(position=place)
    assert verified()[0] == 0

    History.objects.filter(pk=second.pk).update(id=10_000)
    assert verified()[0] == 1
    History.objects.filter(pk=10_000).update(id=second.pk)

    head = HistoryHead.objects.get()
    History.objects.update(position=F("position") + 100)  # as if a hundred rows had been there and were pruned
    HistoryHead.objects.update(position=head.position + 100, first_position=100)
    assert verified()[0] == 1
    History.objects.update(position=F("position") - 100)
    head.save()
    HistoryHead.objects.update(position=F("position") - 1)
    assert "after the head" in verified()[1]
    head.save()
    HistoryHead.objects.all().delete()
    assert verified() == (1, "The head of the chain is missing.\n")


@pytest.mark.django_db
def test_deleting_a_service_keeps_the_chain_intact():
    service = MicroService.objects.create(name="shop")
    record(ADA, "create", "service", service, after={"name": "shop"}, service=service)
    assert verified()[0] == 0
    service.delete()
    assert verified()[0] == 0 and History.objects.get().microservice is None


@pytest.mark.django_db
def test_chains_older_rows():
    History.objects.bulk_create([History(actor="old", action="create", subject="host") for _ in range(3)])
    assert verified()[1].startswith("3 rows")
    History.objects.filter(position=2).update(actor="older")
    assert verified()[0] == 1


@pytest.mark.django_db
def test_verifies_after_pruning():
    there = rows(5)
    History.objects.filter(pk__in=[row.pk for row in there]).delete()
    HistoryHead.objects.all().delete()
    long_ago = timezone.now() - timedelta(days=400)
    for n in range(5):
        row = History(actor="ada", action="change", subject="host", created=long_ago if n < 3 else timezone.now())
        row.digest = chain.digest(row)
        row.save()
    assert verified()[0] == 0
    call_command("prune_history", "--days", "365", stdout=StringIO())
    status, output = verified()
    assert status == 0 and output.startswith("3 rows")
    pruned = History.objects.order_by("position").last()
    assert (pruned.action, pruned.subject, pruned.after["rows"], pruned.position) == ("delete", "history", 3, 6)
    History.objects.filter(position=4).delete()
    assert verified()[0] == 1


@pytest.mark.django_db
def test_seals_and_verifies_in_few_statements():
    History.objects.bulk_create([History(actor="a", action="b", subject="c") for _ in range(600)])
    with CaptureQueriesContext(connection) as sealing:
        assert chain.seal() == 600
    with CaptureQueriesContext(connection) as verifying:
        assert not list(chain.verify())
    with CaptureQueriesContext(connection) as idle:
        assert chain.seal() == 0
    assert len(idle) == 1 and len(verifying) <= 5 and len(sealing) <= 15


# --- the token that acted ---------------------------------------------------------------------------------------------

CI = Caller(name="ada", token_id=7, token_name="ci-deploy", address="192.0.2.7")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [{"token_id": 8}, {"token_name": "another"}, {"token_id": None, "token_name": ""}],
    ids=["id", "name", "taken away"],
)
def test_digest_covers_the_token(change):
    record(ADA, "change", "service", None)
    row = record(CI, "change", "service", None)
    record_alike(CI, "change", "service", [row, row], {}, {}, None)
    chain.seal()
    assert set(History.objects.values_list("token_id", "token_name")) == {(None, ""), (7, "ci-deploy")}
    assert verified()[0] == 0
    History.objects.filter(pk=row.pk).update(**change)
    status, output = verified()
    assert status == 1 and output.startswith(f"Row {row.pk} ")


@pytest.mark.django_db
def test_finds_tokens_added_to_old_rows():
    third = rows()[2]
    History.objects.filter(pk=third.pk).update(token_id=7, token_name="ci-deploy")
    assert verified()[0] == 1


@pytest.mark.django_db
def test_verifies_rows_older_than_tokens():
    """Their digests as the code of that time made them, written down here."""
    created = datetime(2026, 11, 25, 12, 30, 15, 123456, tzinfo=UTC)
    old = History(
        created=created,
        actor="ada",
        address="192.0.2.7",
        action="change",
        subject="service",
        subject_id=4,
        subject_name="shop",
        before={"keep": 3},
        after={"keep": 5},
        reason="it was due",
    )
    content = {
        name: getattr(old, name)
        for name in ("actor", "address", "action", "subject", "subject_id", "subject_name", "before", "after", "reason")
    }
    content["created"] = "2026-11-25T12:30:15.123456+00:00"
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == chain.digest(old)
        == "09b6d92ac0a6c0cefba60f28917cbd316c24cb858fa97c9fc2aa60b8b2675239"
    )
    old.digest = chain.digest(old)
    old.save()
    record(CI, "change", "service", None)
    chain.seal()
    assert verified()[1].startswith("2 rows, all as written.")
