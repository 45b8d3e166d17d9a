"""How long a deployment will still take, and what it waits for. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from django.utils.translation import gettext, ngettext

from microservice.status import DeploymentStatus, OperationStatus


def time_left(durations: Sequence[float], ages: Sequence[float], waiting: int, at_once: int) -> float | None:
    """Return the seconds until all operations have ended, from the median of past `durations`; None without any.

    `ages`: how many seconds each running operation has run. Waiting operations follow, `at_once` at a time.
    """
    if not durations:
        return None
    typical = median(durations)
    running = max((max(0.0, typical - age) for age in ages), default=0.0)
    return running + ceil(waiting / max(1, at_once)) * typical


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """What decides whether a deployment can proceed."""

    status: DeploymentStatus
    counts: Mapping[str, int]
    workers: int = 0  # worker processes seen within the last minute
    deferred: int = 0  # installs that wait for the delete of an older instance


def waits_for(state: DeploymentState) -> list[str]:
    """Return what the deployment waits for, most important first; empty if only for running operations."""
    paused, cancelling = state.status == DeploymentStatus.PAUSED, state.status == DeploymentStatus.CANCELLING
    running, queued, pending, unknown = (
        state.counts.get(status, 0)
        for status in (
            OperationStatus.RUNNING,
            OperationStatus.QUEUED,
            OperationStatus.PENDING,
            OperationStatus.UNKNOWN,
        )
    )
    queued = max(0, queued - state.deferred)
    conditions = [
        (paused, gettext("someone to resume it")),
        (cancelling, gettext("confirmation from each host that it has stopped")),
        (
            (running or queued) and not state.workers,
            gettext("a worker: none was seen in the last minute; start one with `celery -A deployer worker`"),
        ),
        (
            queued and state.workers and not paused and not cancelling,
            ngettext("a free worker for %(n)s host", "free workers for %(n)s hosts", queued) % {"n": queued},
        ),
        (
            unknown,
            ngettext("%(n)s unreachable host (retrying)", "%(n)s unreachable hosts (retrying)", unknown)
            % {"n": unknown},
        ),
        (state.deferred, gettext("a previous instance to be deleted")),
        (
            pending and not paused and not cancelling,
            ngettext("earlier batches (%(n)s host)", "earlier batches (%(n)s hosts)", pending) % {"n": pending},
        ),
    ]
    return [text for holds, text in conditions if holds]
