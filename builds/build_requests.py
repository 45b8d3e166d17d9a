"""Request builds and end them: the only writer of a build's status."""

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from access.callers import SYSTEM, Caller
from access.problems import Problem, refused
from audit.history import record
from callbacks.request_callbacks import RequestedCallback
from messages import Message
from messages.rendering import LITERAL, english, literal
from microservice.models import MicroService, MicroServiceVersion
from microservice.publishing import auto_deploy
from microservice.status import BUILD_AGAIN, BUILD_CANCELLED, BUILD_MAY_GO_ON, BUILD_TRANSITIONS, BuildStatus

from . import build_callbacks, servers, wake
from .models import OPEN, Build
from .providers import clean_text

WATCH_PERIOD, FIRST_POLL_DELAY = timedelta(days=1), timedelta(seconds=60)  # see rebuilds.py


def start(
    caller: Caller,
    version: MicroServiceVersion,
    *,
    again: bool = False,
    even_built: bool = False,
    callback: RequestedCallback | None = None,
) -> Build:
    """Request a build of the version and wake a worker. While one is open, return that one.

    `again`: also if the last attempt failed, timed out or was a duplicate; the earlier attempts are kept.
    `even_built`: also if the commit is built already, as this version or another one.
    `callback`: is told of the build's end, also of one that is open already.
    Raise a Problem: 409 not_configured, or build_status if the version's build has begun or ended otherwise.
    """
    if open_build := _open_build(caller, version, callback):
        return open_build
    servers.check(version.microservice)
    servers.check_ref(version.microservice, version.ref)
    before = BuildStatus(version.status)
    if problem := _status_refusal(version, again, even_built):
        raise problem
    try:
        with transaction.atomic():
            unchanged = MicroServiceVersion.objects.filter(pk=version.pk, status=before, sha256="")
            # Of an image, each attempt is built from the recipe of its request.
            recipe = {"recipe": version.microservice.recipe} if version.microservice.builds_images else {}
            if not unchanged.update(status=BuildStatus.BUILDING, **recipe, **detail_fields(None, "build_")):
                if other := _open_build(caller, version, callback):
                    return other  # another request was faster
                raise refused("concurrent_update.build", version=version.version)
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
            if callback:
                build_callbacks.add(caller, build, callback)
            wake.workers()
    except IntegrityError:  # another request was faster
        if other := _open_build(caller, version, callback):
            return other
        raise refused("concurrent_update.build", version=version.version) from None
    version.refresh_from_db()
    return build


def _open_build(caller: Caller, version: MicroServiceVersion, callback: RequestedCallback | None) -> Build | None:
    """Return the version's open build, which tells the callback of its end too."""
    build = Build.objects.filter(version=version, status__in=OPEN).select_related("version__microservice").first()
    if build and callback and not build_callbacks.join(caller, build, callback):
        raise refused("concurrent_update.build", version=version.version)
    return build


def _status_refusal(version: MicroServiceVersion, again: bool, even_built: bool) -> Problem | None:
    status = BuildStatus(version.status)
    if status == BuildStatus.PENDING:
        return None
    if status not in BUILD_AGAIN:
        return refused("build_status.not_buildable", version=version.version, status=status.label)
    if not again:
        return refused("build_status.ended", version=version.version, status=status.label)
    if status == BuildStatus.DUPLICATE and not even_built:
        return refused("build_status.duplicate", version=version.version)
    return None


def start_refusal(version: MicroServiceVersion) -> Problem | None:
    """Return why `start` would refuse this version whatever its arguments, or None."""
    if problem := _status_refusal(version, True, True):
        return problem
    try:
        servers.check(version.microservice)
        servers.check_ref(version.microservice, version.ref)
    except Problem as problem:
        return problem
    return None


def attempts(version: MicroServiceVersion) -> QuerySet[Build]:
    """Return all attempts, newest first."""
    return Build.objects.filter(version=version).select_related("duplicate_of__version")


def log_of(build: Build) -> str:
    """Return the end of the build's output."""
    return Build.objects.filter(pk=build.pk).values_list("log", flat=True).first() or ""


def newest(version: MicroServiceVersion) -> Build | None:
    """Return the version's latest build."""
    return Build.objects.select_related("duplicate_of__version").filter(version=version).first()


def detail_fields(message: Message | None, prefix: str = "") -> dict[str, Any]:
    """Return the fields that hold a message: its English sentence, its code and its parameters.

    A literal message (the words of a build server) has no code.
    """
    message = message or literal("")
    value = message.as_json()
    code, params = ("", {}) if message.code == LITERAL else (value["code"], _storable(value["params"]))
    text = clean_text(english(message), 500)
    return {f"{prefix}detail": text, f"{prefix}detail_code": code, f"{prefix}detail_params": params}


def started_fields(build: Build) -> dict[str, Any]:
    """Return the fields of a build that has begun."""
    return {"status": BuildStatus.BUILDING, "started": build.started or timezone.now()}


def _storable(value: Any) -> Any:
    """Return a JSON value whose texts are short and of characters that every database accepts."""
    if isinstance(value, dict):
        return {name: _storable(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_storable(part) for part in value]
    return clean_text(value, 500) if isinstance(value, str) else value


def end(
    build: Build,
    status: BuildStatus,
    reason: Message | None = None,
    *,
    log: str | None = None,
    url: str = "",
    duplicate_of: Build | None = None,
    owner: str | None = None,
    by: Caller = SYSTEM,
    words: str | None = None,
) -> bool:
    """End an open build and update its version. Return False, and change nothing, if it had ended before, or if `owner`
    is given and does not hold it any more.

    `by`: the caller who cancels it, for `words`. That changes nothing if its version has its package already.
    """
    now, detail = timezone.now(), detail_fields(reason)
    fields = {
        **detail,
        "status": status,
        "finished": now,
        "owner": "",
        "lease": None,
        "duplicate_of": duplicate_of,
    }
    if log is not None:
        fields["log"] = log
    if url:
        fields["url"] = url
    fields |= _watch_fields(build, status, now, is_cancelled=by is not SYSTEM)
    with transaction.atomic():
        # Compare-and-set: of a late report, a repeated one and the sweep, only one ends it.
        held = {} if owner is None else {"owner": owner}
        if not Build.objects.filter(pk=build.pk, status__in=OPEN, **held).update(**fields):
            return False
        froms = [old for old, onward in BUILD_TRANSITIONS.items() if status in onward]
        moved = MicroServiceVersion.objects.filter(pk=build.version_id, status__in=froms).update(
            status=status, **detail_fields(reason, "build_")
        )
        if by is not SYSTEM and not moved:
            transaction.set_rollback(True)
            return False
        # A reopened build ends again: each end is reported, under a key of its own.
        attempt = f"{build.pk}.{int(now.timestamp() * 1000)}"
        if moved:
            version = MicroServiceVersion.objects.select_related("microservice").get(pk=build.version_id)
            auto_deploy.build_ended(version, attempt=attempt)
            record(
                by,
                "build" if by is SYSTEM else "cancel",
                "version",
                version,
                before={"status": BuildStatus.BUILDING.value},
                after={"status": status.value},
                reason=detail["detail"] if words is None else words,
                service=version.microservice,
            )
        build_callbacks.queue(build, status, detail["detail"], attempt)
    return True


def _watch_fields(build: Build, status: BuildStatus, now: datetime, is_cancelled: bool) -> dict[str, Any]:
    """Return the fields of a build that is watched at its server after its end: for a retry, or until it ends there."""
    if build.is_by_workers or status not in BUILD_MAY_GO_ON:
        return {}
    if is_cancelled:
        may_run = build.reference or build.owner or build.status == BuildStatus.BUILDING
        return {"watched_until": now + WATCH_PERIOD, "due": now} if may_run else {}
    return {"watched_until": now + WATCH_PERIOD, "due": now + FIRST_POLL_DELAY} if build.reference else {}


def reopen(build: Build, reference: str, url: str) -> bool:
    """Reopen a failed build, because its build server retries it. Return False if it or its version has changed since.

    A version that has its package keeps its success.
    """
    may = {"status__in": BUILD_MAY_GO_ON}
    fields = {
        **detail_fields(None),
        "status": BuildStatus.BUILDING,
        "started": timezone.now(),
        "finished": None,
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
            failed = Build.objects.filter(pk=build.pk, **may).exclude(detail_code__startswith=BUILD_CANCELLED)
            if not failed.update(**fields):
                return False
            version = MicroServiceVersion.objects.select_related("microservice").get(pk=build.version_id)
            if MicroServiceVersion.objects.filter(pk=version.pk, **may).update(
                status=BuildStatus.BUILDING, **detail_fields(None, "build_")
            ):
                record(
                    SYSTEM,
                    "build",
                    "version",
                    version,
                    before={"status": version.status},
                    after={"status": BuildStatus.BUILDING.value},
                    reason="retried at the build server",
                    service=version.microservice,
                )
            elif version.status != BuildStatus.SUCCESS:
                transaction.set_rollback(True)
                return False
    except IntegrityError:  # another build of the version is open
        return False
    return True


def record_commit(build: Build, commit: str, fingerprint: str = "") -> Build | None:
    """Record the commit of the build. Return the build that it duplicates, if another builds or built the same.

    `fingerprint`: of an image, which the commit alone does not tell.
    """
    if not (commit or fingerprint) or (build.commit, build.fingerprint) == (commit, fingerprint):
        return None
    build.commit, build.fingerprint = commit, fingerprint
    if build.even_built:
        build.save(update_fields=["commit", "fingerprint"])
        return None
    key = {"fingerprint": fingerprint} if fingerprint else {"commit": commit, "fingerprint": ""}
    service_id = build.version.microservice_id
    with transaction.atomic():
        # The service's row is the lock: of two builds that record the same commit at once, the second sees the first.
        MicroService.objects.filter(pk=service_id).update(updated=timezone.now())
        same = (
            Build.objects.filter(
                version__microservice=service_id,
                status__in=[*OPEN, BuildStatus.SUCCESS],
                **key,
            )
            .exclude(pk=build.pk)
            .select_related("version")
            .order_by("pk")
            .first()
        )
        if same is None:
            build.save(update_fields=["commit", "fingerprint"])
        return same
