"""The Celery task and the worker step for builds. No logic here."""

from celery import bootsteps
from celery.apps.worker import Worker
from celery.signals import worker_shutting_down

from runtime.celery_app import app

from . import execution, sweeping, wake

RELEASE_TIMEOUT = 8.0  # seconds: a build's processes are killed, and an exchange with a build server is bounded
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
        """Let builds be released. `stop_sweepers` has ended them already, before Celery began to wait."""
        execution.wait_until_released(RELEASE_TIMEOUT)


app.steps["worker"].add(BuildSweepStep)


@worker_shutting_down.connect
def stop_sweepers(**_: object) -> None:
    for sweeper in _sweepers:
        sweeper.stop()
    execution.stop()
