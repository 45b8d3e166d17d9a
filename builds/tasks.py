"""Celery's door to builds: no logic."""

from celery import bootsteps
from celery.signals import worker_shutting_down

from runtime.celery_app import app

from . import execution, sweeping, wake

_sweepers: list[sweeping.Sweeper] = []


@app.task(name=wake.WORK)
def work() -> int:
    return execution.work()


class BuildShop(bootsteps.StartStopStep):
    """What looks after builds, with a broker or without."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker) -> None:
        _sweepers.append(sweeping.Sweeper())

    def stop(self, worker) -> None:
        """Nothing: it was told by the signal."""


app.steps["worker"].add(BuildShop)


@worker_shutting_down.connect
def close_shop(**_: object) -> None:
    for sweeper in _sweepers:
        sweeper.stop()
