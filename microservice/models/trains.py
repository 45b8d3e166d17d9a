"""Release trains: versions of several services in stages, and the deployments that bring them."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from access.models import Token
from asset.models import Environment
from messages import Message

from ..status import TrainStatus
from .deployments import Deployment
from .services import MicroService, MicroServiceVersion


class Train(models.Model):
    """Stages that begin one after the other, in one environment."""

    class OnFailure(models.TextChoices):
        HOLD = "hold", "hold"  # nothing more begins until a person decides
        REVERT_TRAIN = "revert_train", "revert train"  # what succeeded goes back, last stage first

    name = models.CharField(max_length=64)
    environment = models.ForeignKey(Environment, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # Tells hosts in no environment ("") from an environment that was deleted since.
    environment_name = models.CharField(max_length=64, blank=True)
    on_failure = models.CharField(max_length=12, choices=OnFailure.choices, default=OnFailure.HOLD)
    status = models.CharField(max_length=10, choices=TrainStatus.choices, default=TrainStatus.RUNNING)
    # Why it has its status, or what it waits for: a message as JSON.
    status_message = models.JSONField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)
    # On whose behalf its stages begin: their rights are looked up anew each time (access/acting_later.py).
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    token = models.ForeignKey(Token, null=True, on_delete=models.SET_NULL, related_name="+")
    by_token = models.BooleanField(default=False)  # also when that token is gone
    requested_by = models.CharField(max_length=150, blank=True)
    reverts = models.PositiveIntegerField(default=0, help_text="How many times it began to go back; 0: it goes forward")
    look_at = models.DateTimeField(null=True, help_text="When what could not begin, because of locks, is tried again")
    created = models.DateTimeField(default=timezone.now)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "train"
        ordering = ["-id"]
        indexes = [models.Index(fields=["status"], name="train_status")]

    def __str__(self) -> str:
        return self.name

    @property
    def reason(self) -> Message | None:
        """Why it has its status; None where the status says it all."""
        return Message.from_json(self.status_message) if self.status_message else None

    @reason.setter
    def reason(self, message: Message | None) -> None:
        self.status_message = message.as_json() if message else None


class TrainPart(models.Model):
    """A service's version in a stage."""

    train = models.ForeignKey(Train, on_delete=models.CASCADE, related_name="parts", db_index=False)
    stage = models.PositiveIntegerField(help_text="From 0")
    position = models.PositiveIntegerField(help_text="Its place in the stage, from 0")
    service = models.ForeignKey(MicroService, on_delete=models.CASCADE, related_name="+")
    version = models.ForeignKey(MicroServiceVersion, on_delete=models.CASCADE, related_name="+")
    plan_token = models.TextField(blank=True, help_text="Of the plan that was shown; used by the first attempt")
    attempt = models.PositiveIntegerField(default=1, help_text="Rises when the train is resumed after a failure")

    class Meta:
        db_table = "train_part"
        ordering = ["train", "stage", "position"]
        constraints = [
            models.UniqueConstraint(fields=["train", "stage", "service"], name="one_version_of_a_service_in_a_stage")
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.version}"


class TrainStart(models.Model):
    """A deployment that a train started, once for each attempt, or the revert of one, once for each time it goes back.

    Without a deployment there was nothing to do.
    """

    part = models.ForeignKey(TrainPart, on_delete=models.CASCADE, related_name="starts", db_index=False)
    attempt = models.PositiveIntegerField()
    origin = models.ForeignKey(Deployment, null=True, on_delete=models.CASCADE, related_name="+")  # that goes back
    deployment = models.OneToOneField(Deployment, null=True, on_delete=models.CASCADE, related_name="train_start")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "train_start"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["part", "attempt"], condition=models.Q(origin=None), name="one_start_of_an_attempt"
            ),
            models.UniqueConstraint(
                fields=["part", "attempt", "origin"],
                condition=models.Q(origin__isnull=False),
                name="one_revert_of_a_deployment",
            ),
        ]

    def __str__(self) -> str:
        return f"start of {self.part}"
