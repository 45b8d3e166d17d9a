"""Who did what, the chain that shows when somebody changed a row of it, and what changed for live views.

What the rows are about is known here by name only: the apps above own those tables.
"""

from django.db import models
from django.utils import timezone


class History(models.Model):
    """Who did what to what, when, from where, from what to what. Only ever added to."""

    created = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=150)
    # The token that the actor showed, if any. Tokens go with their owner, so this is its name and no foreign key.
    token_id = models.BigIntegerField(null=True, blank=True)
    token_name = models.CharField(max_length=64, blank=True, default="", db_default="")
    address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=32)  # create, change, delete, deploy, cancel, unlock, trust …
    subject = models.CharField(max_length=32)  # service, version, instance, host, credential, token, deployment
    subject_id = models.BigIntegerField(null=True)
    subject_name = models.CharField(max_length=300, blank=True)
    microservice = models.ForeignKey(
        "microservice.MicroService", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    # Its place in the chain: see chain.py. None and "" until it is sealed, a moment after the commit.
    digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    position = models.BigIntegerField(null=True, unique=True, editable=False)
    hash = models.CharField(max_length=64, blank=True, default="", db_default="")

    class Meta:
        db_table = "history"
        ordering = ["-id"]
        # Somebody's own sign-ins, on the page of their account.
        indexes = [models.Index(fields=["subject_id", "-id"], condition=models.Q(subject="user"), name="about_a_user")]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.subject_name}"


class HistoryHead(models.Model):
    """The one row that says where the history's chain ends, and what it begins with since the oldest were pruned."""

    position = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)
    first_position = models.BigIntegerField(default=0)
    first_hash = models.CharField(max_length=64)

    class Meta:
        db_table = "history_head"

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"


class Event(models.Model):
    """What changed, in the order of commit: the rows behind every live view. See events.py for who writes and how."""

    # None: what somebody changed of a service, a version, an instance or a host without any deployment.
    deployment = models.ForeignKey(
        "microservice.Deployment", null=True, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    operation = models.ForeignKey("microservice.Operation", null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16)  # deployment, operation, step, output; service, version, instance, host
    data = models.JSONField(default=dict)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "event"
        ordering = ["id"]
        indexes = [models.Index(fields=["deployment", "id"], name="event_of_deployment")]

    def __str__(self) -> str:
        return f"event {self.pk}: {self.kind}"
