"""Times in which environments take no new deployments."""

from django.db import models
from django.db.models import F, Q

from access.authorship import CreatedAndUpdated
from asset.models import Environment


class Freeze(CreatedAndUpdated):
    """A time, once or again and again, in which environments take no new deployments. Rules: deployments/freezes.py."""

    name = models.CharField(max_length=64, unique=True)
    reason = models.CharField(max_length=500)
    everywhere = models.BooleanField(default=False, help_text="In all environments, also those that are added later")
    environments = models.ManyToManyField(Environment, blank=True, related_name="+", db_table="freeze_environment")
    # The first time that it holds. When it recurs, their clock times in `time_zone` do.
    start = models.DateTimeField()
    end = models.DateTimeField()
    recurrence = models.CharField(max_length=255, blank=True, default="", db_default="")  # an RRULE of RFC 5545
    time_zone = models.CharField(max_length=64, default="UTC", db_default="UTC")
    allow_reverts = models.BooleanField(default=True, db_default=True, help_text="Reverts and retries go on meanwhile")

    class Meta:
        db_table = "freeze"
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=Q(end__gt=F("start")), name="freeze_ends_after_it_begins")]

    def __str__(self) -> str:
        return self.name
