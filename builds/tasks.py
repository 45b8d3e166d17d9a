"""Celery's door to builds: no logic."""
from celery.signals import worker_ready, worker_shutting_down

from deployer.celery import app

from . import execution, wake

_sweepers: list[execution.Sweeper] = []


@app.task(name=wake.WORK)
def work() -> int:
    return execution.work()


@worker_ready.connect
def open_shop(**_) -> None:
    _sweepers.append(execution.Sweeper())


@worker_shutting_down.connect
def close_shop(**_) -> None:
    for sweeper in _sweepers:
        sweeper.stop()
