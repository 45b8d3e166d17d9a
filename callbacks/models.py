"""Callbacks and the outbox: a delivery is written in the transaction of the event that it reports."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from access.secrets import EncryptedField
from messages import Message
from messages.rendering import literal


class EventType(models.TextChoices):
    """The events that a callback can subscribe to. The labels stand in the console's form."""

    BUILD_ENDED = "build.ended", _("Build ended")
    DEPLOYMENT_WAITING = "deployment.waiting", _("Deployment waits for approval, a freeze's end or its time")
    DEPLOYMENT_OVERRIDDEN = "deployment.overridden", _("Waiting deployment was begun by an administrator")
    DEPLOYMENT_STARTED = "deployment.started", _("Deployment started")
    DEPLOYMENT_ENDED = "deployment.ended", _("Deployment succeeded or was cancelled")
    DEPLOYMENT_FAILED = "deployment.failed", _("Deployment failed")
    INSTANCE_FAILED = "instance.failed", _("Operation on an instance failed or was undone")
    LOCK_BROKEN = "lock.broken", _("Instance was force-unlocked")
    DELETE_GIVEN_UP = "delete.given_up", _("Delete failed too often and is no longer retried")
    INSTANCE_FORGOTTEN = "instance.forgotten", _("Instance of a lost host was forgotten")


class DeliveryState(models.TextChoices):
    PENDING = "pending"  # waits for its first or next attempt
    DELIVERED = "delivered"  # answered with 2xx
    FAILED = "failed"  # given up: it expired, or a rule forbids its address


class Callback(models.Model):
    """A URL that receives messages: a subscription to events, or of one request alone (see request_callbacks.py)."""

    url = models.CharField(max_length=2000)
    server = models.CharField(max_length=300, blank=True, db_default="", help_text="Scheme, host and port of the URL")
    request = models.CharField(
        max_length=32, blank=True, db_default="", help_text="What it belongs to, such as build:12; empty: subscription"
    )
    returned = models.TextField(blank=True, db_default="", help_text="JSON that its messages return unchanged")
    headers = EncryptedField(blank=True, help_text="JSON of {name: value}; values may be passwords")
    secret = EncryptedField(
        blank=True, help_text="whsec_ and base64: the key that requests are signed with; empty: they are not signed"
    )
    events = models.JSONField(default=list)
    active = models.BooleanField(default=True)
    created = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "callback"
        ordering = ["-id"]
        indexes = [models.Index(fields=["request"], condition=~models.Q(request=""), name="callback_request")]

    def __str__(self) -> str:
        return self.server if self.request else self.url


class Delivery(models.Model):
    """One message to one callback, with the last request and its answer."""

    callback = models.ForeignKey(Callback, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=32)  # an EventType, or "test"
    # What it reports, such as "deployment.ended:12": sent once to each callback, however often the row is written.
    name = models.CharField(max_length=80)
    message_id = models.CharField(max_length=64)
    body = models.TextField()
    url = models.CharField(max_length=2000, blank=True, help_text="Where it was sent last")
    headers = models.JSONField(default=dict, help_text="As sent last; values that look like secrets are left out")
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    due = models.DateTimeField(default=timezone.now)
    lease = models.DateTimeField(null=True, blank=True, help_text="Being sent; believed until then")
    until = models.DateTimeField(help_text="When it is given up")
    answer_status = models.PositiveIntegerField(null=True)
    answer = models.TextField(blank=True, help_text="The first part of the answer's body")
    # Why the last attempt failed: in English, and as the message that pages render.
    error = models.CharField(max_length=500, blank=True)
    error_code = models.CharField(max_length=64, blank=True, default="", db_default="")
    error_params = models.JSONField(default=dict, db_default={})
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

    @property
    def error_message(self) -> Message | None:
        """Why the last attempt failed; rows of older versions have only the English text."""
        if self.error_code:
            return Message.from_json({"code": self.error_code, "params": self.error_params})
        return literal(self.error) if self.error else None
