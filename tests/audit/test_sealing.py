"""Concurrent transactions make one chain of history."""

import threading

import pytest
from django.db import connection, connections, transaction

from access.callers import Caller
from audit import chain
from audit.history import record
from audit.models import History

from .test_chain import ADA, rows, verified


@pytest.mark.django_db(transaction=True)
def test_concurrent_actions_make_one_chain():
    barrier = threading.Barrier(8)
    wrong: list[BaseException] = []

    def deeds(name: str) -> None:
        try:
            barrier.wait(20)
            for n in range(10):
                with transaction.atomic():
                    record(Caller(name=name), "change", "service", None, after={"n": n})
                    if n % 5 == 4:
                        transaction.set_rollback(True)  # a deed that did not happen leaves no row and no gap
        except BaseException as error:  # noqa: BLE001  told by the test
            wrong.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=deeds, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert verified()[1].startswith("64 rows, all as written.")
    assert list(History.objects.order_by("position").values_list("position", flat=True)) == list(range(1, 65))
    each = {
        name: [row.after["n"] for row in History.objects.filter(actor=name).order_by("position")]
        for name in ("t0", "t7")
    }
    assert each == {name: [0, 1, 2, 3, 5, 6, 7, 8] for name in each}


@pytest.mark.django_db(transaction=True)
def test_seals_rows_committed_meanwhile(monkeypatch):
    """Only PostgreSQL has two writers at once; there the second finds the head in the first one's hands."""
    rows(1)
    link, seconds = chain.link, []

    def deed() -> None:
        record(ADA, "second", "service", None)
        connections.close_all()

    def meanwhile(*arguments):
        if not seconds:
            seconds.append(threading.Thread(target=deed))
            seconds[0].start()
            seconds[0].join(10 if connection.vendor == "postgresql" else 0.1)
        return link(*arguments)

    monkeypatch.setattr(chain, "link", meanwhile)
    record(ADA, "first", "service", None)
    seconds[0].join()
    sealed = History.objects.exclude(position=None).order_by("position")
    assert [row.action for row in sealed] == ["change", "first", "second"]


@pytest.mark.django_db(transaction=True)
def test_open_transactions_do_not_block_sealing():
    """Only PostgreSQL has two writers at once; there the second one commits and is sealed while the first is open."""
    if connection.vendor != "postgresql":
        record(ADA, "change", "service", None)
        assert History.objects.get().position == 1
        return
    written, done = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            record(Caller(name="slow"), "change", "service", None)
            written.set()
            done.wait(20)
        connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(20)
    record(ADA, "change", "service", None)
    assert History.objects.get().position == 1
    done.set()
    thread.join()
    assert [row.actor for row in History.objects.order_by("position")] == ["ada", "slow"]
