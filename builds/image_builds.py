"""Build a version at the Docker engine: recipe → Dockerfile → build → push → digest → package.

The connection is the build: where it closes, the engine stops. So it is cut where the build is lost or out of time.
"""

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.utils import timezone

from access.callers import SYSTEM, Caller
from access.masking import Mask
from access.problems import Problem
from access.secrets import reveal
from integrations.docker import images
from integrations.docker.engine import Engine, connect
from integrations.docker.errors import EngineAway, EngineFailed, GivenUp, StepFailed
from integrations.docker.target import Interrupt
from integrations.images import lookup, reference
from integrations.images.credentials import Credentials, credentials_of
from integrations.images.reference import Reference
from messages import Message
from microservice.catalog import dockerfile, recipes
from microservice.publishing import images as publishing
from microservice.status import BuildStatus

from . import base_images, build_requests, contexts, engine_images, engines, servers
from .engine_log import EngineLog
from .jobs import job_of
from .leases import REPORT_INTERVAL, Lease, LeaseLost
from .models import Build
from .providers import BuildRefused, BuildTimedOut, Job, ProviderUnreachable, with_words
from .sandbox.guardian import Guardian
from .sandbox.watching import DEFAULT

log = logging.getLogger(__name__)
_DISK_FULL = ("no space left on device", "disk quota exceeded")


@dataclass
class Attempt:
    """A build that this worker holds, and what it needs. `docker`, `registry`: the settings."""

    row: Build
    lease: Lease
    job: Job
    docker: dict[str, Any]
    registry: dict[str, Any]
    log: EngineLog
    interrupt: Interrupt = field(default_factory=Interrupt)
    heard: float = 0.0  # when the engine said something last

    @property
    def recipe(self) -> dict[str, Any]:
        return self.row.version.recipe

    @property
    def target(self) -> Reference:
        """Where the image is pushed to."""
        name = reference.repository(self.registry["project"], self.job.service_name)
        return Reference(reference.host_of(self.registry["url"]), name, reference.tag(self.job.version))

    @property
    def auth(self) -> Credentials | None:
        return credentials_of(self.registry, self.target)

    def on_line(self, line: dict[str, Any]) -> None:
        self.heard = time.monotonic()
        self.log.line(line)
        if self.log.printed > DEFAULT.output:
            raise BuildRefused("build_limit.output", step=self.log.step, max=DEFAULT.output)

    def talk(self) -> dict[str, Any]:
        """Return how a stream of the engine is followed."""
        self.heard = time.monotonic()
        return {"on_line": self.on_line, "silence": float(settings.BUILD_SILENCE), "interrupt": self.interrupt}


def build(row: Build, lease: Lease) -> None:
    """Build it to its end. Raise BuildRefused, BuildTimedOut, ProviderUnreachable, a Problem, or LeaseLost."""
    docker, registry = engines.required(row.version.recipe)
    job = job_of(row)
    mask = Mask([*job.secret_texts(), reveal(registry["password"])])
    attempt = Attempt(row, lease, job, docker, registry, EngineLog(mask))
    if recipes.is_base_only(attempt.recipe):
        _take_base(attempt)
        return
    with _told(attempt), _in_time(attempt):
        built = _built(attempt)
    if built is not None:
        build_requests.end(row, BuildStatus.SUCCESS, owner=lease.owner)
        engine_images.tidy(built, job.service_name, attempt.target)


def _take_base(attempt: Attempt) -> None:
    """Make the base itself the version: nothing is built, and no engine is asked."""
    row, lease = attempt.row, attempt.lease
    try:
        base = lookup.resolve(attempt.recipe["base"], "/recipe/base").reference
    except Problem as error:
        if error.code == "registry_unreachable":  # it is tried again
            raise ProviderUnreachable(error.message) from error
        raise
    if _end_duplicate(attempt, "", base.pinned):
        return
    lease.renew(base=base.pinned, **build_requests.started_fields(row))
    _store(attempt, base)
    build_requests.end(row, BuildStatus.SUCCESS, owner=lease.owner)


def _built(attempt: Attempt) -> Engine | None:
    """Build, push and store the image. Return the engine, or None where it was a duplicate."""
    lease, job, row = attempt.lease, attempt.job, attempt.row
    try:
        engine = connect(attempt.docker, attempt.interrupt)
        base = base_images.pinned(engine, attempt.recipe["base"], attempt.registry, attempt.interrupt)
    except EngineAway as error:  # nothing has begun: it is tried again
        raise ProviderUnreachable(error.message) from error
    commit = servers.git().commit(job, lease) if dockerfile.repository_paths(attempt.recipe) else ""
    if _end_duplicate(attempt, commit, base):
        return None
    text = dockerfile.render(attempt.recipe, base, job.secrets, engine_images.labels(job))
    lease.renew(dockerfile=text, base=base, **build_requests.started_fields(row))
    attempt.log.begin(Message("image_step.base", {"base": attempt.recipe["base"], "image": base}))
    _build(attempt, engine, text, commit)
    _store(attempt, attempt.target.with_digest(_pushed(attempt, engine)))
    return engine


def _build(attempt: Attempt, engine: Engine, text: str, commit: str) -> None:
    options = images.BuildOptions(
        dockerfile=dockerfile.NAME,
        tags=(attempt.target.tagged,),
        network=attempt.docker["network"],
        memory=settings.BUILD_MEMORY * 1024**2,
    )
    own = contexts.own_files(attempt.recipe, text)
    paths = dockerfile.repository_paths(attempt.recipe)
    checkout = servers.git().context(attempt.job, commit, paths, attempt.lease) if commit else nullcontext()
    with checkout as repository:
        attempt.log.begin(Message("image_step.build", {"image": attempt.target.tagged}))
        auth = attempt.auth.x_registry_config if attempt.auth else None
        sent, secrets = contexts.stream(own, repository), dockerfile.mounted(attempt.job.secrets)
        images.build(engine, sent, options, auth=auth, secrets=secrets, **attempt.talk())


def _pushed(attempt: Attempt, engine: Engine) -> str:
    target = attempt.target
    attempt.log.begin(Message("image_step.push", {"image": target.tagged}))
    auth = attempt.auth.x_registry_auth if attempt.auth else None
    return images.push(engine, f"{target.host}/{target.name}", target.tag, auth=auth, **attempt.talk())


def _store(attempt: Attempt, image: Reference) -> None:
    row = attempt.row
    caller = Caller(name=row.requested_by or SYSTEM.name, scopes=SYSTEM.scopes)

    def claim() -> None:
        # A worker that lost the build stores nothing: the transaction that stores the package checks the row.
        attempt.lease.renew(image=image.pinned)

    publishing.store(caller, row.version, image.pinned, image.tagged, claim=claim)


def _end_duplicate(attempt: Attempt, commit: str, base: str) -> bool:
    same = build_requests.record_commit(attempt.row, commit, fingerprint(attempt.recipe, commit, base))
    if same is None:
        return False
    reason = Message("build_duplicate.image", {"version": same.version.version, "id": same.version_id})
    owner = attempt.lease.owner
    build_requests.end(attempt.row, BuildStatus.DUPLICATE, reason, duplicate_of=same, owner=owner)
    return True


def fingerprint(recipe: dict[str, Any], commit: str, base: str) -> str:
    """Return what two builds of the same have in common: a new digest of the base is another build."""
    return hashlib.sha256(json.dumps([recipe, commit, base], sort_keys=True).encode()).hexdigest()


@contextmanager
def _in_time(attempt: Attempt) -> Iterator[None]:
    """Cut the connection where the build is lost, and where its time is up."""
    guardian = Guardian(attempt.lease, os.getpid())
    begun = attempt.row.started or timezone.now()
    left = settings.BUILD_TIMEOUT - (timezone.now() - begun).total_seconds()
    timer = threading.Timer(max(1.0, left), attempt.interrupt.cut)
    timer.daemon = True
    timer.start()
    done = threading.Event()
    beside = threading.Thread(target=_report, args=(attempt, done), name="image-report", daemon=True)
    beside.start()

    def cut() -> None:
        guardian.disarm()
        attempt.interrupt.cut()

    try:
        with guardian, attempt.lease.ending(cut):
            yield
    finally:
        timer.cancel()
        done.set()
        beside.join()


def _report(attempt: Attempt, done: threading.Event) -> None:
    """Write the output as it grows, and see that the build was cancelled: its own thread may hear nothing for long."""
    written = ""
    while not done.wait(REPORT_INTERVAL):
        text = attempt.log.text()
        try:
            attempt.lease.renew(**({} if text == written else {"log": text}))
            written = text
        except LeaseLost:
            return  # and what runs was ended
        except Error as error:
            log.warning("the output of %s could not be written: %s", attempt.row, type(error).__name__)
        finally:
            connection.close()


@contextmanager
def _told(attempt: Attempt) -> Iterator[None]:
    """Say what an engine's error means for the build, and keep the whole output."""
    try:
        yield
    except GivenUp as error:
        attempt.lease.check()  # lost: nothing more is recorded
        raise BuildTimedOut("build_timeout.step", step=attempt.log.step, seconds=settings.BUILD_TIMEOUT) from error
    except StepFailed as error:
        raise BuildRefused(_failure(attempt.log, error)) from error
    except EngineAway as error:
        attempt.lease.check()
        if attempt.heard and time.monotonic() - attempt.heard >= settings.BUILD_SILENCE:
            raise BuildTimedOut(
                "build_timeout.silent", step=attempt.log.step, seconds=settings.BUILD_SILENCE
            ) from error
        raise BuildRefused("engine_lost", step=attempt.log.step, words=error.message) from error
    except EngineFailed as error:
        raise BuildRefused(error.message) from error
    finally:
        with suppress(LeaseLost):
            attempt.lease.report(attempt.log.close())
        attempt.lease.write_log()


def _failure(log: EngineLog, error: StepFailed) -> Message:
    """Return why a build or a push failed: the step, the engine's words, and what the step printed last."""
    words = error.words
    if any(sign in words.lower() for sign in _DISK_FULL):
        return Message("engine_disk_full", {"step": log.step, "words": words})
    if error.message.code == "image_push_failed":
        return error.message
    return with_words("image_step_failed", log.said, step=log.step, reason=words)
