"""The Celery task and the worker step for builds. No logic here."""

from celery import bootsteps
from celery.apps.worker import Worker
from celery.signals import worker_shutting_down

from runtime.celery_app import app

from . import execution, sweeping, wake

_sweepers: list[sweeping.Sweeper] = []


@app.task(name=wake.WORK)
def work() -> int:
    return execution.work()


class BuildSweepStep(bootsteps.StartStopStep):
    """Start and stop the build sweeper with the worker."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Worker) -> None:
        _sweepers.append(sweeping.Sweeper())

    def stop(self, worker: Worker) -> None:
        """Do nothing: `stop_sweepers` has stopped it already."""


app.steps["worker"].add(BuildSweepStep)


@worker_shutting_down.connect
def stop_sweepers(**_: object) -> None:
    for sweeper in _sweepers:
        sweeper.stop()
