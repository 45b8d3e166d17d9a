"""The worker's side of Celery: no logic. A worker carries out operations before it has found its broker, and claims
nothing more once it is stopped."""

import logging

from celery import Task, bootsteps
from celery.apps.worker import Worker
from celery.signals import worker_init, worker_shutting_down

from callbacks import sender
from integrations.storage import check_folders
from microservice import wake
from runtime import watchdog
from runtime.celery_app import app
from runtime.gc_tuning import freeze_loaded_objects

from . import execution, recovery

_sweepers: list[recovery.Sweeper | sender.Sender] = []
log = logging.getLogger(__name__)


@app.task(name=wake.WORK, bind=True)
def work(self: Task) -> int:
    return execution.work(self.request.id or "")


@worker_init.connect
def check_package_folders(**_: object) -> None:
    check_folders()


class OperationThreads(bootsteps.StartStopStep):
    """The threads that carry out operations. Celery's consumer, which starts after them, is one way to wake them."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Worker) -> None:
        watchdog.arm()
        execution.process_writer()
        _sweepers.append(recovery.Sweeper())
        _sweepers.append(sender.Sender())
        freeze_loaded_objects()
        log.info("this worker carries out what is due")

    def stop(self, worker: Worker) -> None:
        """Do nothing: the signal has stopped them, before Celery began to wait for its own threads."""


app.steps["worker"].add(OperationThreads)


@worker_shutting_down.connect
def stop_claiming(**_: object) -> None:
    execution.process_writer().stop()
    for sweeper in _sweepers:
        sweeper.stop()
