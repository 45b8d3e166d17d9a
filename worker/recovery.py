"""Finds what was lost, and brings it to an end: the sweep that every worker process runs.

It needs no broker: operations that are unclaimed, have an expired lease, or are to be asked again are picked up by its
own threads.
Many sweeps at once do no harm, because a claim is a compare-and-set.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.conf import settings
from django.db import Error, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from access import expiry as access_expiry
from audit import chain
from callbacks import request_callbacks
from deployer.engine.failpoints import Failpoint, failpoint
from microservice import notify
from microservice.deployments import advance, delete_retries
from microservice.deployments.waiting import look
from microservice.models import Deployment, Heartbeat, Operation
from microservice.output import expiry
from microservice.status import DEPLOYMENT_OPEN, OPERATION_OPEN, DeploymentStatus, OperationStatus
from microservice.trains import advance as trains
from runtime.broker_connection import broker_connection
from runtime.database_errors import is_away, is_held
from runtime.periodic import PeriodicThread
from runtime.postgresql.stuck_sessions import terminate_stuck_sessions

from . import execution

MAX_PAUSE_WITHOUT_BROKER = 1.0  # seconds between two sweeps at most while no message comes
HEARTBEAT_INTERVAL = 3.0  # seconds between two heartbeats
HEARTBEAT_TIMEOUT = 60.0  # seconds after which one hangs
SWEEP_TIMEOUT = 120.0  # seconds after which a sweep hangs
log = logging.getLogger(__name__)


class Sweeper:
    """The thread that sweeps, and the threads that pick up what it finds."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(settings.WORKER_CONCURRENCY, thread_name_prefix="picked-up")
        self._loop = PeriodicThread("sweep", self._sweep, pace, SWEEP_TIMEOUT)
        self._heart = PeriodicThread("heartbeat", update_heartbeat, lambda: HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT)

    def stop(self) -> None:
        self._loop.stop()  # but not the heartbeat: a worker that finishes its operations is alive
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _sweep(self) -> None:
        due = count_due()
        if due:
            failpoint(Failpoint.SWEPT)
        for _ in range(due):
            self._pool.submit(_run_claimed)
        tidy()


def pace() -> float:
    """Return the seconds to the next sweep. Where no message wakes this process, the sweep is all that finds work."""
    return settings.SWEEP_INTERVAL if broker_connection else min(settings.SWEEP_INTERVAL, MAX_PAUSE_WITHOUT_BROKER)


def _run_claimed() -> None:
    try:
        execution.work()
    except Error as error:
        log.warning("nothing could be picked up: %s", type(error).__name__)
    except Exception:
        log.exception("nothing could be picked up")


def sweep() -> int:
    """Run one sweep, all of it."""
    due = count_due()
    tidy()
    return due


def count_due() -> int:
    """Do what cannot wait. Return how many operations this process should pick up now, within its free slots."""
    writer = execution.process_writer()
    _run_parts(terminate_stuck_sessions)
    free = writer.slots - writer.in_flight
    return 0 if writer.stopping else min(free, _count_claimable(free))


def tidy() -> None:
    """Do what is done now and then."""
    _run_parts(
        _close_finished_deployments,
        look.sweep,
        delete_retries.retry_failed_deletes,
        trains.sweep,
        expiry.run_if_due,
        chain.seal,
        access_expiry.run_if_due,
        request_callbacks.prune_if_due,
    )


def _run_parts(*parts: Callable[[], object]) -> None:
    """Run the parts; what blocks or fails one of them (a row that is held for long, say) does not stop the others."""
    for part in parts:
        try:
            part()
        except Exception as error:
            if is_held(error):
                log.warning("a part of the sweep was blocked by a row that another transaction holds")
            elif is_away(error):
                raise
            else:
                log.exception("unexpected error in a part of the sweep")


def update_heartbeat() -> None:
    """Write what /readyz reads. Delete rows of workers that are long gone."""
    writer, now = execution.process_writer(), timezone.now()
    deaf = None if broker_connection else now - timedelta(seconds=broker_connection.seconds)
    values = {"seen": now, "slots": writer.slots, "without_broker": deaf}
    if not Heartbeat.objects.filter(worker=writer.owner).update(**values):
        Heartbeat.objects.create(worker=writer.owner, **values)
        Heartbeat.objects.filter(seen__lt=now - timedelta(days=1)).delete()


def _count_claimable(most: int) -> int:
    """Count operations that are due and not claimed, or claimed and not kept alive; stop at `most`."""
    if most <= 0:
        return 0
    rows = Operation.objects.filter(
        Q(status=OperationStatus.RUNNING, lease__lt=Now())
        | Q(status=OperationStatus.UNKNOWN, due__lte=Now())
        | Q(
            status=OperationStatus.QUEUED,
            instance__isnull=False,
            deployment__status__in=(DeploymentStatus.QUEUED, DeploymentStatus.RUNNING),
        )
    )
    return len(rows.order_by().values_list("pk")[:most])


def _close_finished_deployments() -> None:
    """Move on deployments that are open although none of their operations is, should that ever have been missed."""
    stuck = list(
        Deployment.objects.filter(status__in=DEPLOYMENT_OPEN)
        .exclude(Exists(Operation.objects.filter(deployment=OuterRef("pk"), status__in=OPERATION_OPEN)))
        .values_list("pk", flat=True)[:100]
    )
    if stuck:
        with transaction.atomic():
            notify.publish(advance.advance(advance.lock(stuck, skip_held=True)))
