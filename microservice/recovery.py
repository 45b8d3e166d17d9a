"""Finds what was lost, and brings it to an end: the sweep that every worker process runs.

It needs no broker: what nobody claimed, nobody keeps alive, or is to be asked again is picked up by threads of its own.
Many sweeps at once do no harm, because a claim is a compare-and-set.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from access import expiry as access_expiry
from deployer.database_errors import is_held
from deployer.engine import crash
from deployer.postgresql.stuck import end_stuck

from . import advance, events, execution
from .history import chain
from .models import Deployment, Heartbeat, Operation
from .output import expiry
from .requests import retries
from .status import DEPLOYMENT_OPEN, OPERATION_OPEN, DeploymentStatus, OperationStatus

log = logging.getLogger(__name__)


class Sweeper:
    """The thread that sweeps, and the threads that pick up what it finds."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._hands = ThreadPoolExecutor(settings.WORKER_SLOTS, thread_name_prefix="picked-up")
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._hands.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                found = look()
                if found:
                    crash.here(crash.Point.SWEPT)
                for _ in range(found):
                    self._hands.submit(_pick_up)
                tidy()
            except DatabaseError as error:
                log.warning("the sweep could not ask the database: %s", type(error).__name__)
            except RuntimeError:  # the hands were shut down between the question and the work
                return
            except Exception:  # without this thread nothing that was lost would ever be found: it outlives any error
                log.exception("the sweep met an error that it does not know")
            finally:
                connection.close()  # a pool that is small has others to serve until the next sweep
            self._stop.wait(settings.SWEEP_EVERY)


def _pick_up() -> None:
    try:
        execution.work()
    except DatabaseError as error:
        log.warning("nothing could be picked up: %s", type(error).__name__)


def sweep() -> int:
    """One sweep, all of it."""
    found = look()
    tidy()
    return found


def look() -> int:
    """What cannot wait. Answers how many operations this process should pick up now: never more than it has room
    for."""
    desk = execution.ledger()
    _each(end_stuck, partial(_sign_of_life, desk))
    free = desk.slots - desk.in_flight
    return 0 if desk.stopping else min(free, _left_lying(free))


def tidy() -> None:
    """What is done now and then."""
    _each(
        _finish_the_finished, retries.try_remainders, expiry.prune_now_and_then, chain.seal,
        access_expiry.look_now_and_then,
    )  # fmt: skip


def _each(*parts: Callable[[], object]) -> None:
    """Whatever hinders one of them (a row that somebody holds for long, say) is met by that one alone."""
    for part in parts:
        try:
            part()
        except DatabaseError as error:
            if not is_held(error):
                raise
            log.warning("a part of the sweep was hindered by somebody who holds a row")


def _sign_of_life(desk) -> None:
    """What /readyz asks for. Rows of workers long gone are taken away."""
    Heartbeat.objects.update_or_create(worker=desk.owner, defaults={"seen": timezone.now(), "slots": desk.slots})
    Heartbeat.objects.filter(seen__lt=timezone.now() - timedelta(days=1)).delete()


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
            events.write(advance.advance(advance.lock(stuck, around=True)))
