"""Find builds that no worker holds, and run them: with a broker or without."""

import logging
import threading
import time

from django.conf import settings
from django.db import Error, connection
from django.db.models.functions import Now

from runtime.periodic import PeriodicThread

from . import builders, execution, rebuilds, servers
from .models import OPEN, Build
from .sandbox import layout

SWEEP_TIMEOUT = 600.0  # seconds; removing the files of an abandoned build may take long
log = logging.getLogger(__name__)


class Sweeper:
    """The thread that finds builds that are due, and those whose worker died."""

    def __init__(self) -> None:
        self._reported = 0.0
        self._loop = PeriodicThread("build-sweep", self._sweep, lambda: settings.SWEEP_INTERVAL, SWEEP_TIMEOUT)

    def stop(self) -> None:
        self._loop.stop()

    def _sweep(self) -> None:
        if not self._reported or time.monotonic() - self._reported > builders.REPORT_INTERVAL:
            builders.report(execution.owner(), servers.sandbox())
            layout.remove_abandoned()
            self._reported = time.monotonic()
        if Build.objects.filter(status__in=OPEN, due__lte=Now()).exists() or rebuilds.due().exists():
            threading.Thread(target=_pick_up, name="build", daemon=True).start()


def _pick_up() -> None:
    try:
        execution.work()
    except Error as error:
        log.warning("builds could not be picked up: %s", type(error).__name__)
    finally:
        connection.close()
