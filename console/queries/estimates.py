"""How long a deployment will still take, and what it waits for: pure functions of rows and of a clock that is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from django.utils.translation import gettext, ngettext

from microservice.status import DeploymentStatus, OperationStatus


def time_left(past: Sequence[float], ages: Sequence[float], waiting: int, at_once: int) -> float | None:
    """Seconds until everything has ended, from the median of `past` operations' seconds; None without any.

    `ages`: seconds that each running operation has run. What waits comes after that, `at_once` at a time.
    """
    if not past:
        return None
    usual = median(past)
    now = max((max(0.0, usual - age) for age in ages), default=0.0)
    return now + ceil(waiting / max(1, at_once)) * usual


@dataclass(frozen=True, slots=True)
class Standing:
    """What a deployment's rows say about why it does not go on at once."""

    status: DeploymentStatus
    counts: Mapping[str, int]
    reason: str = ""
    workers: int = 0  # worker processes that were seen lately
    behind: int = 0  # installs that wait for the delete of an older instance


def waits_for(now: Standing) -> list[str]:
    """Sentences, the most important first; empty where nothing is waited for but hosts at work."""
    paused, cancelling = now.status == DeploymentStatus.PAUSED, now.status == DeploymentStatus.CANCELLING
    running, queued, pending, unknown = (
        now.counts.get(status, 0)
        for status in (
            OperationStatus.RUNNING,
            OperationStatus.QUEUED,
            OperationStatus.PENDING,
            OperationStatus.UNKNOWN,
        )
    )
    queued = max(0, queued - now.behind)
    found = [
        (paused, gettext("somebody who resumes it")),
        (cancelling, gettext("the proof from each host that nothing of it runs there any more")),
        (
            (running or queued) and not now.workers,
            gettext("a worker, for none was seen in the last minute: start one with `celery -A deployer worker`"),
        ),
        (
            queued and now.workers and not paused and not cancelling,
            ngettext("a free worker for %(n)s host", "free workers for %(n)s hosts", queued) % {"n": queued},
        ),
        (
            unknown,
            ngettext("%(n)s silent host, asked again soon", "%(n)s silent hosts, asked again soon", unknown)
            % {"n": unknown},
        ),
        (now.behind, gettext("the end of the delete of what ran there before")),
        (
            pending and not paused and not cancelling,
            ngettext("the batches before, for %(n)s host", "the batches before, for %(n)s hosts", pending)
            % {"n": pending},
        ),
    ]
    return [words for holds, words in found if holds]
