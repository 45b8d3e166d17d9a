"""Requested builds, the workers that build, and the reports received from build servers."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from messages import Message
from messages.rendering import literal, render, stored
from microservice.models import BUILT_BY_WORKERS, MicroService, MicroServiceVersion
from microservice.status import BUILD_CANCELLED, BUILD_TRANSITIONS, BuildStatus

OPEN = tuple(status.value for status in BUILD_TRANSITIONS)


class Build(models.Model):
    """One attempt to build a version at its provider. `owner` and `lease`: the worker that holds it, and until when."""

    version = models.ForeignKey(MicroServiceVersion, on_delete=models.CASCADE, related_name="builds")
    # The version's service, for the list of all builds. Empty in rows that an earlier release wrote during an upgrade.
    microservice = models.ForeignKey(
        MicroService, null=True, on_delete=models.CASCADE, related_name="builds", db_index=False
    )
    origin = models.CharField(max_length=16)
    status = models.IntegerField(choices=BuildStatus.choices, default=BuildStatus.PENDING)
    commit = models.CharField(max_length=64, blank=True)
    reference = models.CharField(max_length=500, blank=True, help_text="Its name at the provider")
    url = models.CharField(max_length=500, blank=True, help_text="Its page at the provider")
    # Why it has its status: in English, and as a message. Rows of earlier versions have the sentence alone.
    detail = models.CharField(max_length=500, blank=True, help_text="Why it has its status, in English")
    detail_code = models.CharField(max_length=64, blank=True, default="", db_default="")
    detail_params = models.JSONField(default=dict, db_default={})
    # Of an image: the Dockerfile as the engine got it, its base with the digest, and what was pushed. `fingerprint`: of
    # recipe, commit and base together.
    dockerfile = models.TextField(blank=True, default="", db_default="")
    base = models.CharField(max_length=512, blank=True, default="", db_default="")
    image = models.CharField(max_length=512, blank=True, default="", db_default="")
    fingerprint = models.CharField(max_length=64, blank=True, default="", db_default="")
    log = models.TextField(blank=True, help_text="The end of its output")
    duplicate_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    requested_by = models.CharField(max_length=150, blank=True)
    even_built = models.BooleanField(default=False, db_default=False, help_text="Even if the commit is built already")
    # The worker that holds it, and until when (on the database's clock). `due`: when it is polled next.
    owner = models.CharField(max_length=64, blank=True)
    lease = models.DateTimeField(null=True, blank=True)
    due = models.DateTimeField(default=timezone.now)
    takeovers = models.PositiveIntegerField(default=0)
    silences = models.PositiveIntegerField(default=0, help_text="Consecutive polls without an answer")
    watched_until = models.DateTimeField(
        null=True, blank=True, help_text="Failed at a build server: polled for a retry until then"
    )
    created = models.DateTimeField(default=timezone.now)
    started = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "build"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["version"], condition=Q(status__in=OPEN), name="one_open_build"),
        ]
        indexes = [
            models.Index(fields=["due"], condition=Q(status__in=OPEN), name="build_due"),
            # The list of all builds, by each of its filters, newest first.
            models.Index(fields=["microservice", "-id"], name="build_service"),
            models.Index(fields=["status", "-id"], name="build_status"),
            models.Index(fields=["origin", "-id"], name="build_origin"),
            models.Index(fields=["requested_by", "-id"], name="build_requested_by"),
            models.Index(fields=["created", "id"], name="build_created"),
            models.Index(fields=["watched_until"], condition=Q(watched_until__isnull=False), name="build_watched"),
        ]

    # Of a build that was just claimed: the worker that left it behind, and the takeovers until then.
    previous_owner, previous_takeovers = "", 0

    def __str__(self) -> str:
        return f"build {self.pk} of {self.version}"

    def save(self, *args: Any, **more: Any) -> None:
        if self.microservice_id is None:
            self.microservice_id = self.version.microservice_id
        super().save(*args, **more)

    @property
    def is_cancelled(self) -> bool:
        return self.detail_code.startswith(BUILD_CANCELLED)

    @property
    def is_by_workers(self) -> bool:
        """Whether our own workers build it, not a build server."""
        return self.origin in BUILT_BY_WORKERS

    @property
    def is_of_image(self) -> bool:
        """Whether it was requested as the build of an image: the service's origin may have changed since."""
        return self.origin == MicroService.Origin.IMAGE

    @property
    def reason(self) -> str:
        """Why it has its status, in the active language."""
        return render(stored(self.detail_code, self.detail_params, self.detail))


class Builder(models.Model):
    """A worker process that was seen recently, and its sandbox for git builds: for pages and the API, which may run on
    other machines."""

    worker = models.CharField(max_length=64, primary_key=True)
    seen = models.DateTimeField()
    means = models.CharField(max_length=16, help_text="none if git builds are refused")
    network = models.CharField(max_length=16)
    memory = models.CharField(max_length=16, help_text="What limits memory")
    missing = models.JSONField(default=list, help_text="Messages: what is missing, and how to fix it")

    class Meta:
        db_table = "builder"

    def __str__(self) -> str:
        return self.worker

    @property
    def missing_messages(self) -> list[Message]:
        """What is missing; a worker of an earlier version wrote sentences."""
        return [literal(entry) if isinstance(entry, str) else Message.from_json(entry) for entry in self.missing]

    @property
    def missing_sentences(self) -> list[str]:
        return [render(message) for message in self.missing_messages]


class Report(models.Model):
    """A report received from a build server: received again, it changes nothing."""

    origin = models.CharField(max_length=16)
    key = models.CharField(max_length=64, help_text="A hash that identifies the report")
    created = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        db_table = "build_report"
        constraints = [models.UniqueConstraint(fields=["origin", "key"], name="one_report_of_a_key")]

    def __str__(self) -> str:
        return f"{self.origin} {self.key[:8]}"
