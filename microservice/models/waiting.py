"""What waits to begin: the request of a deployment as a value, and what people said to it."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from access.models import Token

from .deployments import Deployment


class OnFreeze(models.TextChoices):
    """What becomes of a request that comes in a freeze."""

    WAIT = "wait", "wait"
    REFUSE = "refuse", "refuse"


class DeploymentRequest(models.Model):
    """What a deployment that waits, or waited, was asked to do. It stays when the deployment begins."""

    deployment = models.OneToOneField(Deployment, on_delete=models.CASCADE, related_name="request")
    # The request's value as JSON, with its kind: waiting/requests.py.
    request = models.JSONField()
    # Who asked; a token counts as the person who made it. Null: automation, or someone who was deleted.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    token = models.ForeignKey(Token, null=True, on_delete=models.SET_NULL, related_name="+")
    by_token = models.BooleanField(default=False)  # also when that token is gone
    automatic = models.BooleanField(default=False)  # nobody asked: a rule of the service's did
    # Of this round's plan: holds/facts.py.
    goes_back = models.BooleanField(default=False)
    repeats = models.BooleanField(default=False)
    runs_nothing = models.BooleanField(default=False)
    start_at = models.DateTimeField(null=True, help_text="Not before this time")
    # Rises whenever the plan is no longer the one that was shown: what was said to an older one does not count.
    round = models.PositiveIntegerField(default=1)
    shown = models.JSONField(default=dict)  # the digest of this round's plan: plan_token.digest
    moved = models.JSONField(default=list)  # what differs from the round before: messages as JSON
    look_at = models.DateTimeField(null=True, help_text="When time alone may change something; null: it waits no more")
    looked_at = models.DateTimeField(default=timezone.now)
    expires = models.DateTimeField()

    class Meta:
        db_table = "deployment_request"
        indexes = [
            models.Index(fields=["look_at"], condition=models.Q(look_at__isnull=False), name="deployment_request_look"),
        ]

    def __str__(self) -> str:
        return f"request of deployment {self.deployment_id}"


class Approval(models.Model):
    """What a person said to one round of a request."""

    class Verdict(models.TextChoices):
        YES = "yes", "yes"
        NO = "no", "no"
        OVERRIDE = "override", "override"

    request = models.ForeignKey(DeploymentRequest, on_delete=models.CASCADE, related_name="approvals", db_index=False)
    round = models.PositiveIntegerField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=150)
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    comment = models.CharField(max_length=500, blank=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "approval"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["request", "round", "user"], name="one_verdict_of_a_person_and_round")
        ]

    def __str__(self) -> str:
        return f"{self.verdict} of {self.name}"
