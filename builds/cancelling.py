"""Cancel a build: here at once, and at its build server as soon as it can be reached.

The row ends first. A worker that builds notices at its next renewal and ends what runs; a build at a server is watched
like one that failed (rebuilds.py), until the server says that it has ended there. Nothing revives a cancelled build.
"""

import logging
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from access.callers import Caller
from access.problems import Problem, invalid, not_found, refused
from messages import Message
from microservice.models import MicroServiceVersion
from microservice.status import BUILD_CANCELLED, BuildStatus

from . import build_requests, servers, wake
from .models import OPEN, Build
from .providers import BuildProvider, BuildRefused, Job, ProviderUnreachable

log = logging.getLogger(__name__)
MAX_REASON = 500
FIND_PERIOD = timedelta(minutes=10)  # for a build whose start the server has not confirmed
MAX_PAUSE = 300  # seconds between two attempts to end it at its server
CANCELLED = Q(detail_code__startswith=BUILD_CANCELLED)


def cancel(caller: Caller, version: MicroServiceVersion, reason: str = "") -> Build:
    """Cancel the version's open build; one that is cancelled already is returned as it is. It may be built again.

    Raise a Problem: 404 if it was never built, 409 build_status if its build has ended otherwise.
    """
    reason = reason.strip()
    if len(reason) > MAX_REASON:
        raise invalid("/reason", "too_long", max=MAX_REASON)
    build = build_requests.newest(version)
    if build is None:
        raise not_found("build")
    if build.is_cancelled:
        return build
    message = _message(caller.name, reason)
    if build.status in OPEN and build_requests.end(build, BuildStatus.FAILED, message, by=caller, words=reason):
        wake.workers()
    build = build_requests.newest(version) or build
    if not build.is_cancelled:
        raise _has_ended(version, build)
    return build


def _has_ended(version: MicroServiceVersion, build: Build) -> Problem:
    # A build whose package is stored is a success already, though its worker has not written so.
    status = BuildStatus.SUCCESS if build.status in OPEN else BuildStatus(build.status)
    return refused("build_status.not_cancellable", version=version.version, status=status.label)


def started_anyway(build: Build, reference: str) -> None:
    """Note the reference of a build whose start was under way while it was cancelled: it is ended at its server."""
    cancelled = Build.objects.filter(CANCELLED, pk=build.pk, reference="")
    if cancelled.update(
        reference=reference, watched_until=timezone.now() + build_requests.WATCH_PERIOD, due=Now(), lease=None, owner=""
    ):
        wake.workers()


def at_server(build: Build, job: Job) -> None:
    """End a cancelled build at its server, and watch it until it has ended there."""
    error: Message | None = None
    try:
        has_ended = _ended_at_server(servers.provider_of(build.origin), build, job)
    except (BuildRefused, ProviderUnreachable, Problem) as problem:
        has_ended, error = False, problem.message
        log.info("%s could not be cancelled at its build server: %s", build, problem)
    since = timezone.now() - (build.finished or build.created)
    given_up = not build.reference and error is None and since > FIND_PERIOD
    fields = {"watched_until": None} if has_ended or given_up else {}
    who, reason = (str(build.detail_params.get(name) or "") for name in ("who", "reason"))
    detail = build_requests.detail_fields(_message(who, reason, error))
    pause = min(MAX_PAUSE, max(2.0, since.total_seconds() / 4))
    Build.objects.filter(CANCELLED, pk=build.pk, owner=build.owner).update(
        owner="", lease=None, due=Now() + timedelta(seconds=pause), **detail, **fields
    )


def _message(who: str, reason: str = "", words: Message | None = None) -> Message:
    """Return who cancelled it and why, and `words`: why it may still run at its server."""
    if words is not None:
        return Message("build_cancelled.runs_on", {"who": who, "reason": reason, "words": words})
    if reason:
        return Message("build_cancelled.reason", {"who": who, "reason": reason})
    return Message(BUILD_CANCELLED, {"who": who})


def _ended_at_server(provider: BuildProvider, build: Build, job: Job) -> bool:
    reference = build.reference or _found(provider, build, job)
    if not reference:
        return False
    state = provider.look(reference)
    if state.reference:  # Jenkins: its queue item has become a build
        reference = state.reference
        state = provider.look(reference)
    if reference != build.reference:
        Build.objects.filter(pk=build.pk).update(reference=reference)
    if state.status == BuildStatus.BUILDING:
        provider.cancel(reference)
        state = provider.look(reference)
    return state.status != BuildStatus.BUILDING


def _found(provider: BuildProvider, build: Build, job: Job) -> str:
    """Return the reference of a build whose start was not confirmed. Not if the version is built again: then what is
    found may be the later attempt."""
    if Build.objects.filter(version=build.version_id, pk__gt=build.pk).exists():
        return ""
    return provider.find(job)
