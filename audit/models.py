"""The history, the head of its hash chain, and the events of live views.

The subjects of the rows are known by name only: the layers above own their tables.
"""

from django.db import models
from django.utils import timezone


class History(models.Model):
    """Who changed what, when, from where, and from which values to which. Rows are only added."""

    created = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=150)
    # The token that acted, if any. Not a foreign key: tokens are deleted with their owner.
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
    # Its position in the chain: see chain.py. None and "" until it is chained, a moment after the commit.
    digest = models.CharField(max_length=64, blank=True, default="", db_default="")
    position = models.BigIntegerField(null=True, unique=True, editable=False)
    hash = models.CharField(max_length=64, blank=True, default="", db_default="")

    class Meta:
        db_table = "history"
        ordering = ["-id"]
        # A user's sign-ins, on the page of their account.
        indexes = [models.Index(fields=["subject_id", "-id"], condition=models.Q(subject="user"), name="about_a_user")]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.subject_name}"


class HistoryHead(models.Model):
    """The one row with the end of the chain, and with its beginning since the oldest rows were pruned."""

    position = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)
    first_position = models.BigIntegerField(default=0)
    first_hash = models.CharField(max_length=64)

    class Meta:
        db_table = "history_head"

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"


class Event(models.Model):
    """A change, in the order of commit: the rows behind every live view. See events.py."""

    # None: a change of a service, a version, an instance or a host without a deployment.
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
