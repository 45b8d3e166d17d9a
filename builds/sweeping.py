"""Finds builds that nobody looks after, and has them carried out: with a broker or without."""

import logging
import threading
import time

from django.conf import settings
from django.db import Error, connection
from django.db.models.functions import Now

from runtime.periodic import Loop

from . import builders, execution, rebuilds, servers
from .models import OPEN, Build
from .sandbox import layout

LONGEST_SWEEP = 600.0  # seconds after which a sweep hangs: what an abandoned build left may be large
log = logging.getLogger(__name__)


class Sweeper:
    """The thread that finds what nobody looks after: builds that are due, and those whose worker died."""

    def __init__(self) -> None:
        self._told = 0.0
        self._loop = Loop("build-sweep", self._sweep, lambda: settings.SWEEP_INTERVAL, LONGEST_SWEEP)

    def stop(self) -> None:
        self._loop.stop()

    def _sweep(self) -> None:
        if not self._told or time.monotonic() - self._told > builders.EVERY:
            builders.tell(execution.owner(), servers.sandbox())
            layout.remove_abandoned()
            self._told = time.monotonic()
        if Build.objects.filter(status__in=OPEN, due__lte=Now()).exists() or rebuilds.due().exists():
            threading.Thread(target=_pick_up, name="build", daemon=True).start()


def _pick_up() -> None:
    try:
        execution.work()
    except Error as error:
        log.warning("no build could be picked up: %s", type(error).__name__)
    finally:
        connection.close()
