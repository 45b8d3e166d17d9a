"""The workers that build from git, and the sandbox that each reported recently."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from messages import Message

from .models import Builder
from .sandbox.commands import NONE
from .sandbox.means import SandboxSupport

REPORT_INTERVAL = 20  # seconds between two reports of a worker
RECENT = timedelta(seconds=90)


def report(worker: str, support: SandboxSupport) -> None:
    """Record the sandbox of this worker, and delete workers that are gone. Two statements."""
    now = timezone.now()
    Builder.objects.update_or_create(
        worker=worker,
        defaults={
            "seen": now,
            "means": support.means,
            "network": support.network,
            "memory": support.memory,
            "missing": [message.as_json() for message in support.missing],
        },
    )
    Builder.objects.filter(seen__lt=now - 10 * RECENT).delete()


def recent() -> list[Builder]:
    return list(Builder.objects.filter(seen__gt=timezone.now() - RECENT).order_by("worker"))


def refusal(builders: list[Builder]) -> Message | None:
    """Return why none of these workers builds from git; None if one does, or if no worker is known."""
    if not builders or any(builder.means != NONE for builder in builders):
        return None
    return Message("no_sandbox", {"missing": builders[0].missing_messages})


def limits() -> dict[str, int]:
    """Return what each build may use, in MiB, numbers and seconds."""
    return {
        "memory": settings.BUILD_MEMORY,
        "disk": settings.BUILD_DISK,
        "processes": settings.BUILD_PROCESSES,
        "seconds": settings.BUILD_TIMEOUT,
    }
