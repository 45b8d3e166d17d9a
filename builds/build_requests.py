"""Asking for builds, and how builds end: the only writer of a build's status."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from access.callers import SYSTEM, Caller
from access.problems import Problem, conflict
from audit.history import record
from microservice.models import MicroService, MicroServiceVersion
from microservice.publishing import auto_deploy
from microservice.status import BUILD_AGAIN, BUILD_MAY_GO_ON, BUILD_TRANSITIONS, BuildStatus

from . import servers, wake
from .models import OPEN, Build
from .providers import plain

WATCHED, FIRST_LOOK = timedelta(days=1), timedelta(seconds=60)  # see rebuilds.py


def start(caller: Caller, version: MicroServiceVersion, *, again: bool = False, even_built: bool = False) -> Build:
    """Records that the version is to be built, and wakes a worker. Asked for again while it goes on: the same build.

    `again`: also where its last attempt failed, timed out or was a duplicate; the attempts stay side by side.
    `even_built`: also where the commit is built already, as this version or another one.
    Raises a Problem: 409 not_configured, or build_status where the version's build has begun or ended otherwise.
    """
    going_on = Build.objects.filter(version=version, status__in=OPEN).first()
    if going_on:
        return going_on
    servers.check(version.microservice)
    servers.check_ref(version.microservice, version.ref)
    before = BuildStatus(version.status)
    if problem := _in_the_way(version, again, even_built):
        raise problem
    try:
        with transaction.atomic():
            moved = MicroServiceVersion.objects.filter(pk=version.pk, status=before, sha256="")
            if not moved.update(status=BuildStatus.BUILDING, build_detail=""):
                if there := Build.objects.filter(version=version, status__in=OPEN).first():
                    return there  # another request was faster
                raise conflict("concurrent_update", f"{version.version} was changed at the same moment.", "Look again.")
            build = Build.objects.create(
                version=version, origin=version.microservice.build_orig, requested_by=caller.name, even_built=even_built
            )
            record(
                caller,
                "build",
                "version",
                version,
                before={"status": before.value},
                after={"status": BuildStatus.BUILDING.value},
                service=version.microservice,
            )
            wake.workers()
    except IntegrityError:  # another request was faster by a moment
        return Build.objects.get(version=version, status__in=OPEN)
    version.refresh_from_db()
    return build


def _in_the_way(version: MicroServiceVersion, again: bool, even_built: bool) -> Problem | None:
    status = BuildStatus(version.status)
    if status == BuildStatus.PENDING:
        return None
    if status not in BUILD_AGAIN:
        return conflict(
            "build_status",
            f"{version.version} is {status.label}; only what is pending or ended badly is built.",
            "Make another version.",
        )
    if not again:
        return conflict(
            "build_status",
            f"{version.version} is {status.label} already.",
            'Send {"again": true} to build it once more under the same name.',
        )
    if status == BuildStatus.DUPLICATE and not even_built:
        return conflict(
            "build_status",
            f"The commit of {version.version} is built already.",
            'Send {"again": true, "even_built": true} to build it all the same.',
        )
    return None


def why_not(version: MicroServiceVersion) -> Problem | None:
    """What `start` would refuse a build of this version with, whatever it is told; None where it can be asked for."""
    if problem := _in_the_way(version, True, True):
        return problem
    try:
        servers.check(version.microservice)
        servers.check_ref(version.microservice, version.ref)
    except Problem as problem:
        return problem
    return None


def attempts(version: MicroServiceVersion) -> QuerySet[Build]:
    """All its attempts, newest first."""
    return Build.objects.filter(version=version).select_related("duplicate_of__version")


def printed(build: Build) -> str:
    """The end of what it printed."""
    return Build.objects.filter(pk=build.pk).values_list("log", flat=True).first() or ""


def newest(version: MicroServiceVersion) -> Build | None:
    """The version's last build, whatever became of it."""
    return Build.objects.select_related("duplicate_of__version").filter(version=version).first()


def end(
    build: Build,
    status: BuildStatus,
    detail: str = "",
    *,
    log: str | None = None,
    url: str = "",
    duplicate_of: Build | None = None,
) -> bool:
    """Ends an open build and moves its version; False where it had ended before, and then nothing changes."""
    now, detail = timezone.now(), plain(detail, 500)
    fields = {
        "status": status,
        "detail": detail,
        "finished": now,
        "owner": "",
        "lease": None,
        "duplicate_of": duplicate_of,
    }
    if log is not None:
        fields["log"] = log
    if url:
        fields["url"] = url
    if status in BUILD_MAY_GO_ON and build.reference and build.origin != MicroService.Origin.GIT:
        fields |= {"watched_until": now + WATCHED, "due": now + FIRST_LOOK}
    with transaction.atomic():
        # Compare-and-set: a late report, a doubled one and the sweep cannot both end it, nor end it twice.
        if not Build.objects.filter(pk=build.pk, status__in=OPEN).update(**fields):
            return False
        froms = [old for old, onward in BUILD_TRANSITIONS.items() if status in onward]
        moved = MicroServiceVersion.objects.filter(pk=build.version_id, status__in=froms).update(
            status=status, build_detail=detail
        )
        if moved:
            version = MicroServiceVersion.objects.select_related("microservice").get(pk=build.version_id)
            # One that went on at its build server ends again: each end is told, and this one is the only one now.
            auto_deploy.build_ended(version, attempt=f"{build.pk}.{int(now.timestamp() * 1000)}")
            record(
                SYSTEM,
                "build",
                "version",
                version,
                before={"status": BuildStatus.BUILDING.value},
                after={"status": status.value},
                reason=detail,
                service=version.microservice,
            )
    return True


def go_on(build: Build, reference: str, url: str) -> bool:
    """Opens a build that had ended badly, because its build server tries it again; False where something else has
    happened to it or its version meanwhile. A version that has got its package keeps its success."""
    may = {"status__in": BUILD_MAY_GO_ON}
    fields = {
        "status": BuildStatus.BUILDING,
        "started": timezone.now(),
        "finished": None,
        "detail": "",
        "silences": 0,
        "takeovers": 0,
        "reference": reference,
        "url": url or build.url,
        "watched_until": None,
        "due": Now(),
        "owner": "",
        "lease": None,
    }
    try:
        with transaction.atomic():
            if not Build.objects.filter(pk=build.pk, **may).update(**fields):
                return False
            version = MicroServiceVersion.objects.select_related("microservice").get(pk=build.version_id)
            if MicroServiceVersion.objects.filter(pk=version.pk, **may).update(
                status=BuildStatus.BUILDING, build_detail=""
            ):
                record(
                    SYSTEM,
                    "build",
                    "version",
                    version,
                    before={"status": version.status},
                    after={"status": BuildStatus.BUILDING.value},
                    reason="tried again at the build server",
                    service=version.microservice,
                )
            elif version.status != BuildStatus.SUCCESS:
                transaction.set_rollback(True)
                return False
    except IntegrityError:  # another build of the version is open
        return False
    return True


def learned_commit(build: Build, commit: str) -> Build | None:
    """Writes down the commit that is built. Returns the build that it doubles, where one builds or built the same."""
    if not commit or build.commit == commit:
        return None
    if build.even_built:
        Build.objects.filter(pk=build.pk).update(commit=commit)
        build.commit = commit
        return None
    service_id = build.version.microservice_id
    with transaction.atomic():
        # The service's row is the lock: of two that learn the same commit at once, the second sees the first.
        MicroService.objects.filter(pk=service_id).update(updated=timezone.now())
        same = (
            Build.objects.filter(
                version__microservice=service_id,
                commit=commit,
                status__in=[*OPEN, BuildStatus.SUCCESS],
            )
            .exclude(pk=build.pk)
            .select_related("version")
            .order_by("pk")
            .first()
        )
        if same is None:
            Build.objects.filter(pk=build.pk).update(commit=commit)
            build.commit = commit
        return same
