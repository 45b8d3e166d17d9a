"""Builds that failed at a build server, where they may be retried: the jobs of a pipeline, or a rebuild.

Each is polled for a day after its end or the last report about it: less and less often, and at once when the build
server reports something. A build that runs again there is reopened here, and one that succeeded there has succeeded
here. A build that timed out here returns only by its success: that it still runs is why it was given up.
"""

import logging
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from access.problems import Problem
from microservice.status import BUILD_MAY_GO_ON, BuildStatus

from . import build_requests, cancelling, leases, servers
from .models import Build
from .providers import BuildRefused, BuildState, Job, ProviderUnreachable

log = logging.getLogger(__name__)
MAX_POLL_PAUSE = 3600  # seconds between two polls; before that, a quarter of the time since its end
_FREE = Q(lease__isnull=True) | Q(lease__lt=Now())


def due() -> QuerySet[Build]:
    """Return the failed builds to poll now: the latest build of each version, and all that were cancelled."""
    newer = Build.objects.filter(version=OuterRef("version"), pk__gt=OuterRef("pk"))
    return Build.objects.filter(
        _FREE,
        cancelling.CANCELLED | ~Exists(newer),
        status__in=BUILD_MAY_GO_ON,
        watched_until__gt=Now(),
        due__lte=Now(),
    )


def claim(owner: str) -> Build | None:
    """Claim one of them. Return None if there is none."""
    for pk in due().order_by("due").values_list("pk", flat=True)[:10]:
        free = Build.objects.filter(_FREE, pk=pk, status__in=BUILD_MAY_GO_ON, due__lte=Now())
        # Postponed first: if polling kills its worker, the next poll is not at once.
        if free.update(
            owner=owner,
            lease=leases.end_of_lease(),
            due=Now() + build_requests.FIRST_POLL_DELAY,
        ):
            return Build.objects.select_related("version__microservice").get(pk=pk)
    return None


def look(build: Build, job: Job) -> None:
    """Poll a failed build once: afterwards it is reopened, or polled again later."""
    if build.is_cancelled:
        cancelling.at_server(build, job)
        return
    try:
        provider = servers.provider_of(build.origin)
        reference = provider.latest_try(job, build.reference)
        state = provider.look(reference)
        if _is_retried(build, state) and build_requests.reopen(build, reference, state.url):
            if state.status != BuildStatus.BUILDING:
                build_requests.end(build, state.status, state.detail, url=state.url)
            return
    except (BuildRefused, ProviderUnreachable, Problem) as error:
        log.info("%s could not be polled again: %s", build, error)
    pause = min(MAX_POLL_PAUSE, max(build_requests.FIRST_POLL_DELAY.total_seconds(), _since_its_end(build) / 4))
    Build.objects.filter(pk=build.pk, owner=build.owner, status__in=BUILD_MAY_GO_ON).update(
        owner="", lease=None, due=Now() + timedelta(seconds=pause)
    )


def reported(origin: str, version_id: int, reference: str) -> bool:
    """Note a report about a failed build: poll it now. Return whether there is such a build."""
    build = Build.objects.filter(version=version_id, origin=origin).first()
    if build is None or build.status not in BUILD_MAY_GO_ON or not build.reference or build.is_cancelled:
        return False
    # Pipelines pass their variables to child pipelines: only the same pipeline counts. Jenkins is asked for its build.
    if origin == "gitlab" and reference != build.reference:
        return False
    return bool(
        Build.objects.filter(pk=build.pk, status=build.status).update(
            watched_until=timezone.now() + build_requests.WATCH_PERIOD, due=Now()
        )
    )


def _is_retried(build: Build, state: BuildState) -> bool:
    if state.status == BuildStatus.BUILDING:
        return build.status == BuildStatus.FAILED
    return state.status == BuildStatus.SUCCESS


def _since_its_end(build: Build) -> float:
    return (timezone.now() - (build.finished or build.created)).total_seconds()
