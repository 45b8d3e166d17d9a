"""The workers that build from git: what each has for a sandbox, as it said lately."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from .models import Builder
from .sandbox.commands import NONE
from .sandbox.means import Found

EVERY = 20  # seconds between two words of a worker
LATELY = timedelta(seconds=90)


def tell(worker: str, found: Found) -> None:
    """Writes down what this worker has, and forgets those that are gone. Two statements."""
    now = timezone.now()
    Builder.objects.update_or_create(
        worker=worker,
        defaults={
            "seen": now,
            "means": found.means,
            "network": found.network,
            "memory": found.memory,
            "missing": [sentence[:500] for sentence in found.missing],
        },
    )
    Builder.objects.filter(seen__lt=now - 10 * LATELY).delete()


def lately() -> list[Builder]:
    return list(Builder.objects.filter(seen__gt=timezone.now() - LATELY).order_by("worker"))


def refusal(builders: list[Builder]) -> str:
    """Why none of these workers builds from git; empty where one does, or where nobody knows of any."""
    if not builders or any(one.means != NONE for one in builders):
        return ""
    return " ".join(("Builds from git need a sandbox, and no worker has one.", *builders[0].missing))[:1000]


def limits() -> dict[str, int]:
    """What each build may use. MiB, numbers and seconds."""
    return {
        "memory": settings.BUILD_MEMORY,
        "disk": settings.BUILD_DISK,
        "processes": settings.BUILD_PROCESSES,
        "seconds": settings.BUILD_TIMEOUT,
    }
