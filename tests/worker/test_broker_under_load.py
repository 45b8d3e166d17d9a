"""A busy machine without a broker: how long it takes until requests are carried out.

A short form here. For the table in docs/reliability.md: AWAY_SECONDS=5,20 AWAY_KINDS=all pytest -s, on this file.
"""

import os
import subprocess
import sys
import time

import pytest

from microservice.status import DeploymentStatus
from tests.lab import faulty_proxy, processes
from tests.lab.faulty_proxy import FaultyProxy
from tests.lab.network import wait_until

from .broker_faults import MODES, listens

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.found("away")]
BUSY = 8
SOON = 10.0
KINDS = ("killed", "refused", "frozen", "lost", "replica", "loading", "another program", "full disk")
SECONDS = [int(one) for one in os.environ.get("AWAY_SECONDS", "5").split(",")]
CHOSEN = KINDS if os.environ.get("AWAY_KINDS") == "all" else ("killed", "lost", "replica")


@pytest.fixture
def busy():
    """Keep the machine busy with BUSY processes."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    yield
    for one in others:
        processes.end(one)


def go_away(kind: str, proxy: FaultyProxy, broker) -> None:
    if kind == "killed":
        broker.kill()
    elif kind == "replica":
        broker.ask("REPLICAOF 127.0.0.1 1")
    else:
        proxy.mode = MODES[kind]


def come_back(kind: str, proxy: FaultyProxy, broker) -> None:
    if kind == "killed":
        broker.start()
    elif kind == "replica":
        broker.ask("REPLICAOF NO ONE")
    else:
        proxy.mode = faulty_proxy.PASS


@pytest.mark.timeout(1800)
def test_carries_out_requests_under_load(fleet, broker, deaf_worker, busy):
    rows = []
    with FaultyProxy(broker.path) as proxy:
        workers = [deaf_worker(proxy.url) for _ in range(2)]
        wait_until(listens, 30)
        fleet.install(0)
        version = 0

        def change() -> float:
            nonlocal version
            version = 1 - version
            begun = time.monotonic()
            ended = fleet.go("upgrade" if version else "revert", 1 - version, version)
            assert ended.status == DeploymentStatus.SUCCEEDED
            return time.monotonic() - begun

        usual = change()
        for kind in CHOSEN:
            for seconds in SECONDS:
                begun = time.monotonic()
                go_away(kind, proxy, broker)
                meanwhile = change()
                time.sleep(max(0.0, begun + seconds - time.monotonic()))
                come_back(kind, proxy, broker)
                back = time.monotonic()
                after = change()
                wait_until(listens, SOON + 3)  # a row tells of it up to three seconds later
                heard = time.monotonic() - back
                rows.append((kind, seconds, meanwhile, after, heard))
                assert after < SOON and heard < SOON + 3, rows
                assert all(one.running() for one in workers)
        fleet.agrees(version)
    print(f"\nwith the broker there: {usual:.1f} s")
    print("| the broker | for | asked meanwhile: done after | asked at its return: done after | messages again after |")
    print("| --- | --- | --- | --- | --- |")
    for kind, seconds, meanwhile, after, heard in rows:
        print(f"| {kind} | {seconds} s | {meanwhile:.1f} s | {after:.1f} s | {heard:.1f} s |")
