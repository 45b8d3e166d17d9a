"""The machine is busy, the broker is away, and people go on: how long until what they ask for is carried out.

A short form here. For the table in docs/reliability.md: AWAY_SECONDS=5,20 AWAY_KINDS=all pytest -s, on this file.
"""

import os
import subprocess
import sys
import time

import pytest

from microservice.status import DeploymentStatus
from tests.lab import moody, processes
from tests.lab.moody import Moody
from tests.lab.network import wait_until

from .test_broker_away import ANSWERS, deaf_worker, fleet, listens  # noqa: F401 - fixtures

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.found("away")]
BUSY = 8
SOON = 10.0
KINDS = ("killed", "refused", "frozen", "lost", "replica", "loading", "another program", "full disk")
SECONDS = [int(one) for one in os.environ.get("AWAY_SECONDS", "5").split(",")]
CHOSEN = KINDS if os.environ.get("AWAY_KINDS") == "all" else ("killed", "lost", "replica")


@pytest.fixture
def busy():
    """A machine with other work, as much as BUSY processes can make of it."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    yield
    for one in others:
        processes.end(one)


def go_away(kind: str, door: Moody, broker) -> None:
    if kind == "killed":
        broker.kill()
    elif kind == "replica":
        broker.ask("REPLICAOF 127.0.0.1 1")
    else:
        door.mood = {"refused": moody.REFUSE, "frozen": moody.FREEZE, "lost": moody.LOSE, **ANSWERS}[kind]


def come_back(kind: str, door: Moody, broker) -> None:
    if kind == "killed":
        broker.start()
    elif kind == "replica":
        broker.ask("REPLICAOF NO ONE")
    else:
        door.mood = moody.PASS


@pytest.mark.timeout(1800)
def test_carries_out_requests_under_load(fleet, broker, deaf_worker, busy):  # noqa: F811
    rows = []
    with Moody(broker.path) as door:
        workers = [deaf_worker(door.url) for _ in range(2)]
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
                go_away(kind, door, broker)
                meanwhile = change()
                time.sleep(max(0.0, begun + seconds - time.monotonic()))
                come_back(kind, door, broker)
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
