"""Celery's door: no logic. A worker opens its shop when it is ready, and claims nothing more once told to stop."""

from celery.signals import worker_init, worker_ready, worker_shutting_down

from callbacks import sender
from deployer.celery import app
from deployer.memory import settle
from outside.storage import check_at_start

from . import execution, recovery, wake

_sweepers: list[recovery.Sweeper | sender.Sender] = []


@app.task(name=wake.WORK, bind=True)
def work(self) -> int:
    return execution.work(self.request.id)


@worker_init.connect
def look_around(**_) -> None:
    check_at_start()


@worker_ready.connect
def open_shop(**_) -> None:
    execution.ledger()
    _sweepers.append(recovery.Sweeper())
    _sweepers.append(sender.Sender())
    settle()


@worker_shutting_down.connect
def close_shop(**_) -> None:
    execution.ledger().stop()
    for sweeper in _sweepers:
        sweeper.stop()
