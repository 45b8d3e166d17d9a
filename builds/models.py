"""Builds that were asked for, and the reports of build servers that were taken in."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from microservice.models import MicroServiceVersion
from microservice.status import BUILD_TRANSITIONS, BuildStatus

OPEN = tuple(status.value for status in BUILD_TRANSITIONS)


class Build(models.Model):
    """One attempt to build a version at its origin, and (while a worker looks after it) whose it is and until when."""

    version = models.ForeignKey(MicroServiceVersion, on_delete=models.CASCADE, related_name="builds")
    origin = models.CharField(max_length=16)
    status = models.IntegerField(choices=BuildStatus.choices, default=BuildStatus.PENDING)
    commit = models.CharField(max_length=64, blank=True)
    reference = models.CharField(max_length=500, blank=True, help_text="What the origin calls it")
    url = models.CharField(max_length=500, blank=True, help_text="Where people can watch it")
    detail = models.CharField(max_length=500, blank=True, help_text="Why it is what it is")
    log = models.TextField(blank=True, help_text="The end of what it printed")
    duplicate_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    requested_by = models.CharField(max_length=150, blank=True)
    even_built = models.BooleanField(default=False, db_default=False, help_text="Although the commit is built already")
    # Who looks after it, and until when (on the database's clock); `due`: when it is looked at again.
    owner = models.CharField(max_length=64, blank=True)
    lease = models.DateTimeField(null=True, blank=True)
    due = models.DateTimeField(default=timezone.now)
    takeovers = models.PositiveIntegerField(default=0)
    silences = models.PositiveIntegerField(default=0, help_text="How often the origin did not answer in a row")
    watched_until = models.DateTimeField(
        null=True, blank=True, help_text="Ended badly at a build server: looked at again until then"
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
            models.Index(fields=["watched_until"], condition=Q(watched_until__isnull=False), name="build_watched"),
        ]

    def __str__(self) -> str:
        return f"build {self.pk} of {self.version}"


class Builder(models.Model):
    """A worker process that was seen lately, and what it shuts git builds in with: for pages and the API, which may run
    on other machines."""

    worker = models.CharField(max_length=64, primary_key=True)
    seen = models.DateTimeField()
    means = models.CharField(max_length=16, help_text="none where git builds are refused")
    network = models.CharField(max_length=16)
    memory = models.CharField(max_length=16, help_text="What limits memory")
    missing = models.JSONField(default=list, help_text="Sentences: what is missing, and what to install")

    class Meta:
        db_table = "builder"

    def __str__(self) -> str:
        return self.worker


class Report(models.Model):
    """A build server's report that was taken in: the same one again changes nothing."""

    origin = models.CharField(max_length=16)
    key = models.CharField(max_length=64, help_text="A hash of what tells this report from every other")
    created = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        db_table = "build_report"
        constraints = [models.UniqueConstraint(fields=["origin", "key"], name="one_report_of_a_key")]

    def __str__(self) -> str:
        return f"{self.origin} {self.key[:8]}"
