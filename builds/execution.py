"""The worker side: claim a build that is due, advance it, and record the result."""

import errno
import itertools
import logging
import os
import socket
import threading
import time
import traceback
import uuid
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from access import url_userinfo
from access.problems import Problem
from messages import Message
from messages.rendering import stored
from microservice.status import BuildStatus
from runtime.database_errors import is_away

from . import (
    build_requests,
    cancelling,
    git_builds,
    image_builds,
    leases,
    polling,
    rebuilds,
    servers,
    wake,
)
from .jobs import job_of
from .models import OPEN, Build
from .providers import BuildRefused, BuildState, BuildTimedOut, ProviderUnreachable
from .sandbox import processes

log = logging.getLogger(__name__)
MAX_TAKEOVERS = 3
PATIENCE = 5.0  # seconds for the processes of another worker's build to go
MAX_POLL_PAUSE = 120  # seconds between two polls of a provider that does not answer
_stopping = threading.Event()
_claims = itertools.count(1)
_slots = threading.BoundedSemaphore(settings.BUILD_CONCURRENCY)


@lru_cache(maxsize=1)
def owner() -> str:
    """Return a name for this process that no other ever had."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def work() -> int:
    """Advance builds until none is due. Return the number of steps.

    Do nothing if this process is at BUILD_CONCURRENCY already: deployments need its threads too.
    """
    if not _slots.acquire(blocking=False):
        return 0
    steps = 0
    try:
        while not _stopping.is_set() and (build := claim()) is not None:
            advance(build)
            steps += 1
        while not _stopping.is_set() and (build := rebuilds.claim(owner())) is not None:
            _poll_ended(build)
            steps += 1
    finally:
        _slots.release()
    return steps


def stop() -> None:
    """Claim nothing more, and end the builds of this process: another worker begins them again."""
    _stopping.set()
    leases.lose_all(leases.WorkerStopped())


def wait_until_released(timeout: float) -> bool:
    """Wait until no build is in the hands of this process that was told to stop. Return whether that is so."""
    deadline = time.monotonic() + timeout
    free = 0
    while free < settings.BUILD_CONCURRENCY and _slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
        free += 1
    return free == settings.BUILD_CONCURRENCY


def _poll_ended(build: Build) -> None:
    try:
        rebuilds.look(build, job_of(build))
    except Exception as error:
        if is_away(error):
            raise
        log.warning("%s could not be polled again: %s", build, type(error).__name__)


def claim() -> Build | None:
    """Claim a build that is due and that no worker holds. Return None if there is none."""
    free = Q(lease__isnull=True) | Q(lease__lt=Now())
    due = Build.objects.filter(free, status__in=OPEN, due__lte=Now()).order_by("due")
    for pk, previous, takeovers in due.values_list("pk", "owner", "takeovers")[:10]:
        # A process that takes up its own build has lived on: the build did not end its worker.
        died = bool(previous) and not previous.startswith(owner())
        # Each claim has a name of its own, so that what ends a lost build never ends its successor in this process.
        claimed = Build.objects.filter(free, pk=pk, status__in=OPEN, owner=previous).update(
            owner=f"{owner()}-{next(_claims):x}",
            lease=leases.end_of_lease(),
            takeovers=F("takeovers") + (1 if died else 0),
        )
        if claimed:
            build = Build.objects.select_related("version__microservice").get(pk=pk)
            build.previous_owner, build.previous_takeovers = previous, takeovers
            return build
    return None


def advance(build: Build) -> None:
    """Advance a build by one step: afterwards it has ended, or is due again later, whatever the provider does."""
    try:
        if _too_late(build):
            _out_of_time(build)
        elif build.version.status == BuildStatus.SUCCESS and build.is_by_workers:
            # Its worker died after it stored the package, before it recorded the end.
            _end(build, BuildStatus.SUCCESS)
        elif build.takeovers > MAX_TAKEOVERS:
            _end(build, BuildStatus.FAILED, Message("build_abandoned", {"count": MAX_TAKEOVERS}))
        elif build.is_by_workers:
            _build_here(build)
        else:
            _advance_remote(build)
    except (BuildRefused, Problem) as error:
        _end(build, BuildStatus.FAILED, error.message)
    except BuildTimedOut as error:
        _end(build, BuildStatus.TIMEOUT, error.message)
    except ProviderUnreachable as error:
        _postpone(build, error.message)
    except leases.WorkerStopped:
        _release(build, 0)  # another worker begins it again at once, and no takeover is counted
        wake.workers()
    except leases.LeaseLost:
        log.info("%s was cancelled, or its lease ran out", build)
    except Exception as error:
        if is_away(error):  # nothing can be recorded; the lease will expire
            raise
        # The traceback without the error's text, which may quote a URL with a password.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("%s failed with an unexpected error: %s\n%s", build, type(error).__name__, where)
        _end(build, BuildStatus.FAILED, _unexpected(error))


def _end(build: Build, status: BuildStatus, reason: Message | None = None, *, url: str = "") -> None:
    """End a build that this worker still holds: a late one changes nothing."""
    build_requests.end(build, status, reason, url=url, owner=build.owner)


def _unexpected(error: Exception) -> Message:
    """Return the message for an unexpected error, without the userinfo of URLs."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Message("build_disk_full")
    return Message("build_worker_error", {"error": type(error).__name__, "words": url_userinfo.hidden(str(error))})


def _advance_remote(build: Build) -> None:
    """Start the build at its build server, or poll it. Only the start may be refused."""
    if build.status == BuildStatus.PENDING and not _start(build):
        return
    state = _poll(build)
    if state.status != BuildStatus.BUILDING:
        _end(build, state.status, state.detail, url=state.url)
        return
    if git_builds.end_duplicate(build, state.commit):
        return
    fields: dict[str, Any] = {"silences": 0, **build_requests.detail_fields(state.detail)}
    if state.reference:
        fields["reference"] = state.reference
    if state.url:
        fields["url"] = state.url
    _release(build, settings.BUILD_POLL_INTERVAL, **fields)


def _start(build: Build) -> bool:
    """Start the build. Return whether it is to be polled."""
    provider, job = servers.provider_of(build.origin), job_of(build)
    # Checked again: the service or the settings may have changed since the request.
    servers.check(build.version.microservice)
    servers.check_ref(build.version.microservice, job.ref)
    if git_builds.end_duplicate(build, provider.commit(job)):
        return False
    _mark_started(build)
    try:
        _save_reference(build, provider.start(job))
    except ProviderUnreachable as error:
        if not error.sent:  # nothing was started: the next step starts it
            Build.objects.filter(pk=build.pk, status__in=OPEN).update(status=BuildStatus.PENDING, started=None)
        raise
    return True


def _poll(build: Build) -> BuildState:
    """Poll the build. Raise ProviderUnreachable for anything but an answer: a started build never fails for that."""
    try:
        reference, state = polling.look(servers.provider_of(build.origin), job_of(build), build.reference)
    except (BuildRefused, Problem) as error:  # settings removed, or not usable
        raise ProviderUnreachable(error.message) from error
    _save_reference(build, reference)
    return state


def _save_reference(build: Build, reference: str) -> None:
    if reference == build.reference:
        return
    if not Build.objects.filter(pk=build.pk, status__in=OPEN).update(reference=reference):
        cancelling.started_anyway(build, reference)
    build.reference = reference


def _out_of_time(build: Build) -> None:
    """End it as timed out, unless a last poll finds that it has ended at its build server, perhaps long ago."""
    reason = _detail(build) if build.silences else None
    if build.status == BuildStatus.BUILDING and not build.is_by_workers:
        try:
            state = _poll(build)
            if state.status != BuildStatus.BUILDING:
                _end(build, state.status, state.detail, url=state.url)
                return
            reason = state.detail
        except ProviderUnreachable as error:
            reason = error.message
    seconds: dict[str, Any] = {"seconds": settings.BUILD_TIMEOUT}
    message = (
        Message("build_timeout.said", seconds | {"words": reason}) if reason else Message("build_timeout", seconds)
    )
    _end(build, BuildStatus.TIMEOUT, message)


def _detail(build: Build) -> Message:
    return stored(build.detail_code, build.detail_params, build.detail)


def _build_here(build: Build) -> None:
    """Build with what our own workers have: this thread waits for the end, and the lease is renewed meanwhile."""
    if build.previous_owner and not processes.end_marked(leases.mark_of(build.previous_owner, build.pk), PATIENCE):
        log.warning("%s: processes of the worker before are still there", build)
        _give_back(build)
        return
    with leases.Lease(build) as lease:
        (image_builds if build.is_of_image else git_builds).build(build, lease)


def _mark_started(build: Build) -> None:
    """Note that it begins now. Raise LeaseLost if it was cancelled: then nothing is started."""
    ours = Build.objects.filter(pk=build.pk, owner=build.owner, status__in=OPEN)
    if not ours.update(**build_requests.started_fields(build)):
        raise leases.LeaseLost


def _too_late(build: Build) -> bool:
    # A running git build has its own timeout; this one is for builds without a live worker.
    grace = 60 if build.is_by_workers else 0
    return timezone.now() - (build.started or build.created) > timedelta(seconds=settings.BUILD_TIMEOUT + grace)


def _postpone(build: Build, reason: Message) -> None:
    if reason.code == polling.UNCONFIRMED and build.silences:  # keep the server's answer to the start
        before = _detail(build)
        is_same = before.code.partition(".")[0] == polling.UNCONFIRMED
        reason = before if is_same else Message(f"{polling.UNCONFIRMED}.said", {"words": before})
    pause = min(MAX_POLL_PAUSE, settings.BUILD_POLL_INTERVAL * 2 ** min(build.silences, 10))
    _release(build, pause, silences=build.silences + 1, **build_requests.detail_fields(reason))


def _release(build: Build, seconds: float, **fields: Any) -> None:
    Build.objects.filter(pk=build.pk, owner=build.owner, status__in=OPEN).update(
        owner="", lease=None, due=Now() + timedelta(seconds=seconds), **fields
    )


def _give_back(build: Build) -> None:
    """Leave the build to the next claim, which looks for the same processes."""
    Build.objects.filter(pk=build.pk, owner=build.owner, status__in=OPEN).update(
        owner=build.previous_owner,
        lease=None,
        takeovers=build.previous_takeovers,
        due=Now() + timedelta(seconds=PATIENCE),
    )
