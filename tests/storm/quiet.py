"""The end of a round: every deployment ends, and nothing starts by itself while rows and hosts are compared."""

import time
from datetime import datetime, timedelta

from django.utils import timezone

from .scene import Scene

LONGEST = 60.0  # seconds after the last fault, or its own begin, in which everything must have an end
AWAY = timedelta(days=1)  # longer than any pause of the system's own


class Remainders:
    """Failed deletes that the sweep will try again: half a minute later, which a round on a busy machine may last."""

    def __init__(self, scene: Scene):
        self._scene = scene
        self._due: dict[int, datetime] = {}  # when it would be each instance's turn

    def hold(self) -> bool:
        """No delete is tried again until `let_go`. True: one was due, so a sweep may have it in hand already."""
        return self._scene.rows(self._hold)

    def let_go(self) -> None:
        self._scene.rows(self._let_go)

    def _hold(self) -> bool:
        now = timezone.now()
        rows = _waiting().filter(retry_at__lt=now + AWAY / 2)
        found = dict(rows.values_list("pk", "retry_at"))
        self._due |= found  # before they are moved: this is called again where the database gave no answer
        rows.filter(pk__in=found).update(retry_at=now + AWAY)
        return any(due <= timezone.now() for due in found.values())

    def _let_go(self) -> None:
        for number, due in self._due.items():
            _waiting().filter(pk=number, retry_at__gte=timezone.now() + AWAY / 2).update(retry_at=due)
        self._due.clear()


def _waiting():
    from microservice.models import MicroServiceInstance

    return MicroServiceInstance.objects.filter(retry_at__isnull=False)


def wait_for_ends(scene: Scene, remainders: Remainders) -> None:
    """Return when nothing is open or waits, and nothing will begin, or with a failed check after LONGEST."""
    seen: dict[int, float] = {}
    while True:
        while left := scene.rows(open_deployments):
            now = time.monotonic()
            if any(now - seen.setdefault(number, now) > LONGEST for number in left):
                scene.tally.check(2, False, f"deployments {left} have no end after {LONGEST:.0f} s: {stuck(scene)}")
                remainders.hold()
                return
            time.sleep(0.1)
        if not remainders.hold():
            return
        time.sleep(2 * scene.size.sweep)  # until the worker that saw that it was due has begun it


def open_deployments() -> list[int]:
    from microservice.models import Deployment
    from microservice.status import DEPLOYMENT_ENDED

    return list(Deployment.objects.exclude(status__in=DEPLOYMENT_ENDED).values_list("pk", flat=True))


def stuck(scene: Scene) -> list:
    from microservice.models import Operation
    from microservice.status import OPERATION_OPEN

    columns = ("pk", "host__hostname", "status", "owner", "lease", "due", "error", "takeovers")
    return scene.rows(lambda: list(Operation.objects.filter(status__in=OPERATION_OPEN).values_list(*columns)))
