"""The callbacks that a request for a build names: who is told of this build's end, beside the subscriptions."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import F

from access.callers import Caller
from callbacks import outbox, request_callbacks
from callbacks.models import Callback, Delivery, EventType
from callbacks.request_callbacks import RequestedCallback
from microservice import notify
from microservice.models import MicroServiceVersion
from microservice.status import BuildStatus

from .models import OPEN, Build

WAITING = "waiting"  # beside the states of deliveries: the build goes on
Told = list[tuple[Callback, Delivery | None]]  # each with its newest delivery


def request_of(build_id: int) -> str:
    return f"build:{build_id}"


def build_of(request: str) -> int | None:
    """Return the build that a callback belongs to."""
    kind, _, number = request.partition(":")
    return int(number) if kind == "build" else None


def add(caller: Caller, build: Build, wanted: RequestedCallback) -> None:
    """Add a callback to a build, in the transaction that creates or locks it."""
    request_callbacks.add(caller, request_of(build.pk), wanted, build.version.microservice)


@transaction.atomic
def join(caller: Caller, build: Build, wanted: RequestedCallback) -> bool:
    """Add a callback to a build that another request started. Return False if it has ended by now."""
    # The row is locked, so its end either has happened or sees the callback.
    if not Build.objects.filter(pk=build.pk, status__in=OPEN).update(silences=F("silences")):
        return False
    add(caller, build, wanted)
    return True


def queue(build: Build, status: BuildStatus, detail: str, attempt: str) -> None:
    """Queue the messages about a build's end, in its transaction. `attempt`: tells its ends apart."""

    def data() -> dict[str, Any]:
        version = MicroServiceVersion.objects.select_related("microservice").get(pk=build.version_id)
        ended = {"id": build.pk, "status": status.value, "status_str": status.label, "detail": detail}
        return notify.build_data(version) | {"build": ended}

    outbox.enqueue_for(request_of(build.pk), EventType.BUILD_ENDED, f"build.ended:{attempt}", data)


def of(builds: Iterable[Build]) -> dict[int, Told]:
    """Return {build id: its callbacks}, without builds that have none. Two queries."""
    numbers = {request_of(build.pk): build.pk for build in builds}
    return {numbers[request]: told for request, told in request_callbacks.of(numbers).items()}
