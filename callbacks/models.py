"""Who is told what, and everything that was told: the outbox. A row is written in the transaction of what it tells."""

from django.db import models
from django.utils import timezone

from access.secrets import EncryptedField


class Telling(models.TextChoices):
    """What a callback may be about."""

    BUILD_ENDED = "build.ended", "a build has ended"
    DEPLOYMENT_STARTED = "deployment.started", "a deployment has started"
    DEPLOYMENT_ENDED = "deployment.ended", "a deployment has ended, well or cancelled"
    DEPLOYMENT_FAILED = "deployment.failed", "a deployment has ended badly"
    INSTANCE_FAILED = "instance.failed", "an operation on an instance has failed or was undone"
    LOCK_BROKEN = "lock.broken", "somebody broke an instance's lock"
    DELETE_GIVEN_UP = "delete.given_up", "a delete failed so often that it is not tried again by itself"
    INSTANCE_FORGOTTEN = "instance.forgotten", "somebody forgot an instance whose host is gone"


class State(models.TextChoices):
    PENDING = "pending", "waits for its first or next attempt"
    DELIVERED = "delivered", "was answered with 2xx"
    FAILED = "failed", "was given up after a day, or was refused by a rule"


class Callback(models.Model):
    """An address that is told of events."""

    url = models.CharField(max_length=2000)
    headers = EncryptedField(blank=True, help_text="JSON of {name: value}; values may be passwords")
    secret = EncryptedField(help_text="whsec_ and base64: what requests are signed with")
    events = models.JSONField(default=list)
    active = models.BooleanField(default=True)
    created = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "callback"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.url


class Delivery(models.Model):
    """One message for one callback, with what was sent last and what came back."""

    callback = models.ForeignKey(Callback, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=32, choices=Telling.choices)
    # What it tells of, such as "deployment.ended:12": told once to each callback, however often the row is touched.
    name = models.CharField(max_length=80)
    message_id = models.CharField(max_length=64)
    body = models.TextField()
    url = models.CharField(max_length=2000, blank=True, help_text="Where it was sent last")
    headers = models.JSONField(default=dict, help_text="As sent last; values that look secret are left out")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    due = models.DateTimeField(default=timezone.now)
    lease = models.DateTimeField(null=True, blank=True, help_text="Being sent: until when that is believed")
    until = models.DateTimeField(help_text="When it is given up")
    answer_status = models.PositiveIntegerField(null=True)
    answer = models.TextField(blank=True, help_text="The first part of the answer's body")
    error = models.CharField(max_length=500, blank=True)
    took = models.PositiveIntegerField(null=True, help_text="Milliseconds")
    created = models.DateTimeField(default=timezone.now)
    sent = models.DateTimeField(null=True)

    class Meta:
        db_table = "delivery"
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["callback", "name"], name="told_once")]
        indexes = [models.Index(fields=["due"], condition=models.Q(state="pending"), name="delivery_due")]

    def __str__(self) -> str:
        return f"{self.event} to {self.callback_id}"
