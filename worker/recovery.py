"""Finds what was lost, and brings it to an end: the sweep that every worker process runs.

It needs no broker: what nobody claimed, nobody keeps alive, or is to be asked again is picked up by threads of its own.
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
from deployer.engine import failpoints
from microservice import notify
from microservice.deployments import advance, retries
from microservice.models import Deployment, Heartbeat, Operation
from microservice.output import expiry
from microservice.status import DEPLOYMENT_OPEN, OPERATION_OPEN, DeploymentStatus, OperationStatus
from runtime.database_errors import is_away, is_held
from runtime.listening import listening
from runtime.periodic import Loop
from runtime.postgresql.stuck import end_stuck

from . import execution

WITHOUT_BROKER = 1.0  # seconds between two sweeps at most while no message comes
HEARTBEAT = 3.0  # seconds between two signs of life
LONGEST_HEARTBEAT = 60.0  # seconds after which one hangs
LONGEST_SWEEP = 120.0  # seconds after which a sweep hangs
log = logging.getLogger(__name__)


class Sweeper:
    """The thread that sweeps, and the threads that pick up what it finds."""

    def __init__(self) -> None:
        self._hands = ThreadPoolExecutor(settings.WORKER_CONCURRENCY, thread_name_prefix="picked-up")
        self._loop = Loop("sweep", self._sweep, pace, LONGEST_SWEEP)
        self._heart = Loop("heartbeat", sign_of_life, lambda: HEARTBEAT, LONGEST_HEARTBEAT)

    def stop(self) -> None:
        self._loop.stop()  # and not the heart: whoever finishes what is in hand still lives
        self._hands.shutdown(wait=False, cancel_futures=True)

    def _sweep(self) -> None:
        found = look()
        if found:
            failpoints.here(failpoints.Point.SWEPT)
        for _ in range(found):
            self._hands.submit(_pick_up)
        tidy()


def pace() -> float:
    """Seconds from one sweep to the next. Where no message wakes this process, the sweep is all that finds work."""
    return settings.SWEEP_INTERVAL if listening else min(settings.SWEEP_INTERVAL, WITHOUT_BROKER)


def _pick_up() -> None:
    try:
        execution.work()
    except Error as error:
        log.warning("nothing could be picked up: %s", type(error).__name__)
    except Exception:
        log.exception("nothing could be picked up")


def sweep() -> int:
    """One sweep, all of it."""
    found = look()
    tidy()
    return found


def look() -> int:
    """What cannot wait. Answers how many operations this process should pick up now: never more than it has room
    for."""
    desk = execution.ledger()
    _each(end_stuck)
    free = desk.slots - desk.in_flight
    return 0 if desk.stopping else min(free, _left_lying(free))


def tidy() -> None:
    """What is done now and then."""
    _each(
        _finish_the_finished,
        retries.try_remainders,
        expiry.prune_now_and_then,
        chain.seal,
        access_expiry.look_now_and_then,
    )


def _each(*parts: Callable[[], object]) -> None:
    """Whatever hinders one of them (a row that somebody holds for long, say) is met by that one alone."""
    for part in parts:
        try:
            part()
        except Exception as error:
            if is_held(error):
                log.warning("a part of the sweep was hindered by somebody who holds a row")
            elif is_away(error):
                raise
            else:
                log.exception("a part of the sweep met an error that it does not know")


def sign_of_life() -> None:
    """What /readyz asks for. Rows of workers long gone are taken away."""
    desk, now = execution.ledger(), timezone.now()
    deaf = None if listening else now - timedelta(seconds=listening.seconds)
    told = {"seen": now, "slots": desk.slots, "without_broker": deaf}
    if not Heartbeat.objects.filter(worker=desk.owner).update(**told):
        Heartbeat.objects.create(worker=desk.owner, **told)
        Heartbeat.objects.filter(seen__lt=now - timedelta(days=1)).delete()


def _left_lying(most: int) -> int:
    """How many operations are due and not claimed, or claimed and not kept alive; counted no further than `most`."""
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


def _finish_the_finished() -> None:
    """Deployments that are open although none of their operations is: moved on, should that ever have been missed."""
    stuck = list(
        Deployment.objects.filter(status__in=DEPLOYMENT_OPEN)
        .exclude(Exists(Operation.objects.filter(deployment=OuterRef("pk"), status__in=OPERATION_OPEN)))
        .values_list("pk", flat=True)[:100]
    )
    if stuck:
        with transaction.atomic():
            notify.publish(advance.advance(advance.lock(stuck, around=True)))
