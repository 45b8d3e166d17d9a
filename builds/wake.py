"""Tells the workers that there is something to build. The rows are the queue; a lost message is found by the sweep."""
import logging
import threading

from django.db import transaction
from kombu.exceptions import OperationalError

from deployer.celery import app

WORK = "builds.work"
log = logging.getLogger(__name__)


def workers() -> None:
    """After the commit, in a thread of its own: no request waits for a broker that is slow or gone."""
    transaction.on_commit(lambda: threading.Thread(target=_send, name="build-waker", daemon=True).start())


def _send() -> None:
    try:
        app.send_task(WORK)
    except (OperationalError, OSError) as error:
        log.warning("no worker could be woken (%s): the sweep will find the build", type(error).__name__)
