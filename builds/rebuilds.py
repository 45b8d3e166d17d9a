"""Builds that ended badly at a build server, where somebody may try them again: a pipeline's jobs, or a rebuild.

Each is looked at for a day after its end, or after the last report about it: less and less often, and at once when the
build server reports something. What goes on there goes on here, and what ended well there has ended well here. A build
that ran out of time here comes back only by its success: that it still runs is why it was given up.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from access.problems import Problem
from microservice.status import BUILD_MAY_GO_ON, BuildStatus

from . import build_requests, servers
from .models import Build
from .providers import Job, Refused, Seen, Silent

log = logging.getLogger(__name__)
LONGEST_PAUSE = 3600  # seconds between two looks; before that, a quarter of the time since its end
_FLOATING = Q(lease__isnull=True) | Q(lease__lt=Now())


def due() -> QuerySet[Build]:
    """Those that are to be looked at now: the newest build of their versions."""
    newer = Build.objects.filter(version=OuterRef("version"), pk__gt=OuterRef("pk"))
    return Build.objects.filter(
        _FLOATING, ~Exists(newer), status__in=BUILD_MAY_GO_ON, watched_until__gt=Now(), due__lte=Now()
    )


def claim(owner: str) -> Build | None:
    """One of them, now ours under a lease; None where there is none."""
    for number in due().order_by("due").values_list("pk", flat=True)[:10]:
        taken = Build.objects.filter(_FLOATING, pk=number, status__in=BUILD_MAY_GO_ON, due__lte=Now())
        # Later already: where its worker dies of the look, the next one is not at once.
        if taken.update(
            owner=owner,
            lease=Now() + timedelta(seconds=max(settings.OPERATION_LEASE_SECONDS, 10)),
            due=Now() + build_requests.FIRST_LOOK,
        ):
            return Build.objects.select_related("version__microservice").get(pk=number)
    return None


def look(build: Build, job: Job) -> None:
    """One look. Whatever comes of it, the build has gone on, or is looked at again later."""
    try:
        origin = servers.origin_of(build.origin)
        reference = origin.again(job, build.reference)
        seen = origin.look(reference)
        if _goes_on(build, seen) and build_requests.go_on(build, reference, seen.url):
            if seen.status != BuildStatus.BUILDING:
                build_requests.end(build, seen.status, seen.detail, url=seen.url)
            return
    except (Refused, Silent, Problem) as error:
        log.info("%s could not be looked at again: %s", build, error)
    pause = min(LONGEST_PAUSE, max(build_requests.FIRST_LOOK.total_seconds(), _since_its_end(build) / 4))
    Build.objects.filter(pk=build.pk, owner=build.owner, status__in=BUILD_MAY_GO_ON).update(
        owner="", lease=None, due=Now() + timedelta(seconds=pause)
    )


def reported(origin: str, version_id: int, reference: str) -> bool:
    """A build server says something of a build that had ended badly: it is looked at now, whoever is right."""
    build = Build.objects.filter(version=version_id, origin=origin).first()
    if build is None or build.status not in BUILD_MAY_GO_ON or not build.reference:
        return False
    # Pipelines pass their variables on to others: only the very pipeline counts. Jenkins is asked which build it is.
    if origin == "gitlab" and reference != build.reference:
        return False
    return bool(
        Build.objects.filter(pk=build.pk, status=build.status).update(
            watched_until=timezone.now() + build_requests.WATCHED, due=Now()
        )
    )


def _goes_on(build: Build, seen: Seen) -> bool:
    if seen.status == BuildStatus.BUILDING:
        return build.status == BuildStatus.FAILED
    return seen.status == BuildStatus.SUCCESS


def _since_its_end(build: Build) -> float:
    return (timezone.now() - (build.finished or build.created)).total_seconds()
