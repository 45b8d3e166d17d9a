"""A worker whose writer thread hangs ends with a report, and another takes over: real processes."""

import sys

import pytest

from microservice.status import DeploymentStatus
from tests.lab.fleet import Fleet
from tests.lab.network import wait_until
from tests.lab.worker import Process

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.found("away")]
HANGS = """
import os, sys, threading
os.environ["DJANGO_SETTINGS_MODULE"] = "deployer.settings"
import django
django.setup()
from worker import writer

writer.WRITER_TIMEOUT = 3
writes = writer.BatchWriter._write

def hangs(self, results_):
    if self.in_flight:  # it has claimed something, and never writes a word of it
        threading.Event().wait()
    writes(self, results_)

writer.BatchWriter._write = hangs
sys.argv = ["celery", "-A", "deployer", "worker", "--loglevel", "INFO"]
from celery.__main__ import main
main()
"""


def test_worker_with_hung_writer_is_replaced(transactional_db, sshds, environment, worker, tmp_path):
    fleet = Fleet(sshds(1))
    with Process([sys.executable, "-c", HANGS], environment, tmp_path / "hangs.log") as hung:
        hung.wait_for(" ready.", 60)
        installed = fleet.install(0, wait=False)
        wait_until(lambda: not hung.running(), 60)
        assert hung.process.returncode == 70
        assert "the thread writer has made no progress for 3 s" in hung.log() and "in hangs" in hung.log()
    worker()
    assert fleet.ended(installed, 60).status == DeploymentStatus.SUCCEEDED
    fleet.agrees(0)
    assert fleet.trace().count("start 1.0") == 1
