"""The worker side: claims a build that is due, brings it one move further, writes down what came of it."""

import errno
import logging
import os
import socket
import threading
import traceback
import uuid
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from access import url_userinfo
from access.callers import SYSTEM, Caller
from access.problems import Problem
from access.secrets import Undecryptable
from microservice.models import MicroService
from microservice.publishing import upload
from microservice.status import BuildStatus
from runtime.database_errors import is_away

from . import build_requests, checkout, polling, rebuilds, servers
from .credentials import NOBODY, Credential
from .models import OPEN, Build
from .providers import Job, Refused, Seen, Silent, plain
from .refusal_text import with_sentence
from .sandbox.running import TimedOut

log = logging.getLogger(__name__)
MOST_TAKEOVERS = 3
LONGEST_PAUSE = 120  # seconds between two looks at an origin that does not answer
_slots = threading.BoundedSemaphore(settings.BUILD_CONCURRENCY)


@lru_cache(maxsize=1)
def owner() -> str:
    """This process's name among all that ever were."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def work() -> int:
    """Brings what is due one move further each, until nothing is due; returns how many moves that were.

    Does nothing where this process builds as much as it may already: deployments need its threads too.
    """
    if not _slots.acquire(blocking=False):
        return 0
    done = 0
    try:
        while (build := claim()) is not None:
            move(build)
            done += 1
        while (build := rebuilds.claim(owner())) is not None:
            _look_again(build)
            done += 1
    finally:
        _slots.release()
    return done


def _look_again(build: Build) -> None:
    try:
        rebuilds.look(build, job_of(build))
    except Exception as error:
        if is_away(error):
            raise
        log.warning("%s could not be looked at again: %s", build, type(error).__name__)


def claim() -> Build | None:
    """A build that is due and that nobody looks after, now ours under a lease; None where there is none."""
    unkept = Q(lease__isnull=True) | Q(lease__lt=Now())
    due = Build.objects.filter(unkept, status__in=OPEN, due__lte=Now()).order_by("due")
    for number, before in due.values_list("pk", "owner")[:10]:
        taken = Build.objects.filter(unkept, pk=number, status__in=OPEN).update(
            owner=owner(), lease=_lease(), takeovers=F("takeovers") + (1 if before else 0)
        )
        if taken:
            return Build.objects.select_related("version__microservice").get(pk=number)
    return None


def move(build: Build) -> None:
    """One move. Whatever the origin does, the build is then ended, or due again later."""
    try:
        if _too_late(build):
            _out_of_time(build)
        elif build.version.status == BuildStatus.SUCCESS and build.origin == MicroService.Origin.GIT:
            build_requests.end(
                build, BuildStatus.SUCCESS
            )  # its worker died between storing the package and writing this
        elif build.takeovers > MOST_TAKEOVERS:
            build_requests.end(build, BuildStatus.FAILED, f"{MOST_TAKEOVERS} workers ended while they built it")
        elif build.origin == MicroService.Origin.GIT:
            _build_here(build)
        else:
            _ask(build)
    except (Refused, Problem) as error:
        build_requests.end(build, BuildStatus.FAILED, str(error))
    except TimedOut as error:
        build_requests.end(build, BuildStatus.TIMEOUT, str(error))
    except Silent as error:
        _later(build, str(error))
    except checkout.Given:
        log.info("%s is looked after by somebody else", build)
    except Exception as error:
        if is_away(error):  # nothing can be written, and the lease runs out
            raise
        # Where it came from, and not its text: that may quote an address with a password.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("%s ended in an error that nobody foresaw: %s\n%s", build, type(error).__name__, where)
        build_requests.end(build, BuildStatus.FAILED, _unforeseen(error))


def _unforeseen(error: Exception) -> str:
    """For people, without what an address may hold."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "There is no room left on the disk of the worker or of the package store"
    return url_userinfo.hidden(f"The worker met an error: {type(error).__name__}: {error}")


def job_of(build: Build) -> Job:
    """Raises Refused where the service's secrets cannot be read."""
    version, service = build.version, build.version.microservice
    before = Build.objects.filter(version=version).exclude(pk=build.pk).exclude(reference="")
    job = Job(
        build.pk,
        service.pk,
        service.name,
        version.pk,
        version.version,
        version.ref,
        service.build_url,
        service.build_command,
        build.requested_by,
        tuple(service.build_refs),
        depth=service.build_depth,
        others=frozenset(before.values_list("reference", flat=True)),
    )
    if build.origin != MicroService.Origin.GIT:
        return job
    try:
        known = service.build_credential.open()
        credential = Credential(service.build_username, known.get("password", NOBODY), known.get("key", NOBODY))
        return replace(job, secrets=service.build_secrets.open(), credential=credential, own_keys=own_keys(service))
    except Undecryptable as error:
        raise Refused(f"The service's build secrets: {error}") from error


def own_keys(service: MicroService) -> bool:
    """Whether git may use the ssh keys of the worker's user for this service. They open repositories of more than one
    team, and an owner chooses the address: services of no team are the administrators'."""
    allowed = {"all": True, "none": False, "unowned": service.team_id is None}[settings.BUILD_SSH_KEYS]
    return allowed and "key" not in service.build_credential


def _ask(build: Build) -> None:
    """A build server: start it there, or look how far it is. Only its start may be refused."""
    if build.status == BuildStatus.PENDING and not _start(build):
        return
    seen = _look(build)
    if seen.status != BuildStatus.BUILDING:
        build_requests.end(build, seen.status, seen.detail, url=seen.url)
        return
    if _doubles(build, seen.commit):
        return
    fields = {"silences": 0, "detail": seen.detail[:500]}
    if seen.reference:
        fields["reference"] = seen.reference
    if seen.url:
        fields["url"] = seen.url
    _release(build, settings.BUILD_POLL_INTERVAL, **fields)


def _start(build: Build) -> bool:
    """Whether it was started, and is to be looked at."""
    origin, job = servers.origin_of(build.origin), job_of(build)
    # Again, and here for certain: since it was asked for, the service or the settings may have changed.
    servers.check(build.version.microservice)
    servers.check_ref(build.version.microservice, job.ref)
    if _doubles(build, origin.commit(job)):
        return False
    _began(build)
    try:
        _named(build, origin.start(job))
    except Silent as error:
        if not error.sent:  # nothing was started: the next move starts it
            Build.objects.filter(pk=build.pk, status__in=OPEN).update(status=BuildStatus.PENDING, started=None)
        raise
    return True


def _look(build: Build) -> Seen:
    """Raises Silent for everything but an answer: what was started is never called failed because nobody can look."""
    try:
        reference, seen = polling.look(servers.origin_of(build.origin), job_of(build), build.reference)
    except (Refused, Problem) as error:  # no settings any more, or none that can be used
        raise Silent(str(error)) from error
    _named(build, reference)
    return seen


def _named(build: Build, reference: str) -> None:
    if reference != build.reference:
        Build.objects.filter(pk=build.pk, status__in=OPEN).update(reference=reference)
        build.reference = reference


def _out_of_time(build: Build) -> None:
    """Ends it, unless a last look finds that it has ended at its build server; that may be long ago."""
    told = build.detail if build.silences else ""
    if build.status == BuildStatus.BUILDING and build.origin != MicroService.Origin.GIT:
        try:
            seen = _look(build)
            if seen.status != BuildStatus.BUILDING:
                build_requests.end(build, seen.status, seen.detail, url=seen.url)
                return
            told = seen.detail
        except Silent as error:
            told = str(error)
    fact = f"It had not ended {settings.BUILD_TIMEOUT} s after its start"
    build_requests.end(build, BuildStatus.TIMEOUT, with_sentence(fact, told))


def _build_here(build: Build) -> None:
    """A git repository: this thread waits for the child processes and keeps the lease alive meanwhile."""
    git, job = servers.git(), job_of(build)
    printed = ""

    def keep(**fields) -> None:
        ours = Build.objects.filter(pk=build.pk, owner=owner(), status__in=OPEN)
        if not ours.update(lease=_lease(), **fields):
            raise checkout.Given

    def tell(text: str) -> None:
        nonlocal printed
        printed = text
        keep(log=text)

    commit = git.commit(job, lambda text: keep())
    if _doubles(build, commit):
        return
    _began(build)
    try:
        with git.built(job, commit, tell) as package, package.open("rb") as file:
            tell(printed)
            caller = Caller(name=build.requested_by or SYSTEM.name, scopes=SYSTEM.scopes)
            # Whoever lost the build stores nothing: its row is asked in the transaction that takes the package.
            upload.store(caller, build.version, upload.Body(file, package.stat().st_size), claim=keep)
    finally:
        Build.objects.filter(pk=build.pk, owner=owner()).update(log=printed)
    build_requests.end(build, BuildStatus.SUCCESS)


def _doubles(build: Build, commit: str) -> bool:
    """Ends the build where another one builds or built the same commit; whether it did."""
    same = build_requests.learned_commit(build, commit)
    if same is None:
        return False
    detail = f"The commit {commit[:12]} is built as {same.version.version} (version {same.version_id}) already"
    build_requests.end(build, BuildStatus.DUPLICATE, detail, duplicate_of=same)
    return True


def _began(build: Build) -> None:
    Build.objects.filter(pk=build.pk, status__in=OPEN).update(
        status=BuildStatus.BUILDING, started=build.started or timezone.now()
    )


def _too_late(build: Build) -> bool:
    # A build that a worker runs keeps its own time; this is for what nobody reports on.
    grace = 60 if build.origin == MicroService.Origin.GIT else 0
    return timezone.now() - (build.started or build.created) > timedelta(seconds=settings.BUILD_TIMEOUT + grace)


def _later(build: Build, reason: str) -> None:
    if reason == polling.NOT_KNOWN and build.silences:  # what the server said when it was asked to start stays
        reason = build.detail if build.detail.startswith(reason) else with_sentence(reason, build.detail)
    pause = min(LONGEST_PAUSE, settings.BUILD_POLL_INTERVAL * 2 ** min(build.silences, 10))
    _release(build, pause, detail=plain(reason, 500), silences=build.silences + 1)


def _release(build: Build, seconds: float, **fields) -> None:
    Build.objects.filter(pk=build.pk, owner=owner(), status__in=OPEN).update(
        owner="", lease=None, due=Now() + timedelta(seconds=seconds), **fields
    )


def _lease():
    return Now() + timedelta(seconds=max(settings.OPERATION_LEASE_SECONDS, 10))
