"""Deployments, their operations, steps and output. These rows are the queue, and what live views show."""

from django.db import models
from django.utils import timezone

from access.sealed import SealedMap, SealedMapField
from asset.models import Asset, Environment
from messages import Message
from messages.rendering import literal

from ..status import Action, DeploymentStatus, InstanceStatus, OperationStatus, StepStatus, UndoStatus
from .services import MicroService, MicroServiceInstance, MicroServiceVersion


class Deployment(models.Model):
    """A request: one action on a list of instances."""

    microservice = models.ForeignKey(MicroService, on_delete=models.PROTECT, related_name="deployments")
    action = models.CharField(max_length=8, choices=Action.choices)
    from_version = models.ForeignKey(MicroServiceVersion, null=True, on_delete=models.PROTECT, related_name="+")
    dest_version = models.ForeignKey(MicroServiceVersion, null=True, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, choices=DeploymentStatus.choices, default=DeploymentStatus.QUEUED)
    # Why it has its status: a message as JSON (messages.Message). Rows of older versions have a sentence instead.
    status_message = models.JSONField(null=True, blank=True)
    status_reason = models.CharField(max_length=500, blank=True)
    # {"batch_size", "canary", "max_failures", "on_failure", "pause_between"}, every key present: rollout.Strategy
    strategy = models.JSONField(default=dict)
    # [{"instance_id", "host_id", "host", "code", "params"}]: targets that were skipped, each with its message; rows of
    # older versions have a sentence, "reason", instead of params (skipped.describe_skipped)
    skipped = models.JSONField(default=list)
    # How the service was deployed at the time of the request (atoms.spec_of): later edits do not affect it.
    spec = models.JSONField(default=dict)
    # The service's secrets at the time of the request, sealed; deleted when the deployment has finished.
    secrets = SealedMapField(default=SealedMap, db_default="", blank=True, editable=False)
    # Fields of the instances that an install creates: {"port", "tag", "weight"}. Deferred ones do not exist yet.
    instance_fields = models.JSONField(default=dict, blank=True)
    # Where its hosts were when it was requested: all in one, or in none.
    environment = models.ForeignKey(Environment, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # The deployment that this one retries or reverts.
    origin = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="followers")
    note = models.CharField(max_length=500, blank=True, default="", db_default="")  # why, by who requested it: notes.py
    requested_by = models.CharField(max_length=150, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created = models.DateTimeField(default=timezone.now)
    started = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "deployment"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["microservice", "-id"], name="deployment_of_service"),
            models.Index(fields=["status"], name="deployment_status"),
        ]

    def __str__(self) -> str:
        return f"deployment {self.pk}"

    @property
    def reason(self) -> Message | None:
        """Why it has its status; None where the status says it all."""
        if self.status_message:
            return Message.from_json(self.status_message)
        return literal(self.status_reason) if self.status_reason else None

    @reason.setter
    def reason(self, message: Message | None) -> None:
        self.status_message, self.status_reason = message.as_json() if message else None, ""


class Operation(models.Model):
    """A deployment's part on one instance, and (while it runs) which worker may write for it and until when."""

    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="operations", db_index=False)
    # Deleting an instance removes its row; its operations stay and name the host. An install that waits behind a
    # delete on its host has none yet: it becomes due when the old row is gone (deployments/deferred_installs.py).
    instance = models.ForeignKey(
        MicroServiceInstance, null=True, blank=True, on_delete=models.SET_NULL, related_name="operations"
    )
    instance_id_snapshot = models.BigIntegerField(help_text="The instance's id, kept after the instance is gone")
    host = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="operations")
    action = models.CharField(max_length=8, choices=Action.choices)
    from_version = models.ForeignKey(MicroServiceVersion, null=True, on_delete=models.PROTECT, related_name="+")
    dest_version = models.ForeignKey(MicroServiceVersion, null=True, on_delete=models.PROTECT, related_name="+")
    adopt = models.BooleanField(default=False)
    batch = models.PositiveIntegerField(default=0, help_text="Which batch of the rollout it belongs to, from 0")
    status = models.CharField(max_length=12, choices=OperationStatus.choices, default=OperationStatus.PENDING)
    undo_status = models.CharField(max_length=8, choices=UndoStatus.choices, default=UndoStatus.NONE)
    attempt = models.PositiveIntegerField(default=1)
    origin = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="retries")
    error = models.TextField(blank=True, help_text="In English: for logs, callbacks and rows without a code")
    error_step = models.CharField(max_length=64, blank=True)
    # What went wrong in one word, and so who said it: deployer.engine.codes.Code. See operation_errors.py.
    error_code = models.CharField(max_length=32, blank=True, default="", db_default="")
    error_params = models.JSONField(null=True, blank=True, help_text="Of the code's text; null in older rows")
    cause = models.CharField(
        max_length=16, blank=True, default="", db_default="", help_text="The same for all that failed alike: causes.py"
    )
    # Who may write, and until when (on the database's clock). A takeover raises the fence; a lower one is refused.
    owner = models.CharField(max_length=64, blank=True)
    fence = models.BigIntegerField(default=0)
    lease = models.DateTimeField(null=True, blank=True)
    due = models.DateTimeField(null=True, blank=True, help_text="UNKNOWN: when the host is asked again")
    unknown_since = models.DateTimeField(null=True, blank=True)
    poll_count = models.PositiveIntegerField(default=0, help_text="UNKNOWN: how often the host was asked")
    takeovers = models.PositiveIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    # What the instance's status goes back to where the operation never starts or is cancelled.
    status_before = models.IntegerField(choices=InstanceStatus.choices, default=InstanceStatus.RUNNING)
    output_size = models.BigIntegerField(default=0)
    output_lines = models.BigIntegerField(default=0, help_text="Line ends in the output so far")
    bytes_sent = models.BigIntegerField(default=0, help_text="Package bytes put on the wire")
    celery_task_id = models.CharField(max_length=64, blank=True)
    started = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "operation"
        ordering = ["id"]
        indexes = [
            models.Index(fields=["deployment", "status", "id"], name="operation_next"),
            # Both columns, so that a deployment's operation on an instance is found at once also where the database
            # has not yet counted that this deployment has ten thousand of them.
            models.Index(fields=["deployment", "instance"], name="operation_on_instance"),
            models.Index(fields=["owner"], condition=models.Q(status="running"), name="operation_owner"),
            models.Index(fields=["lease"], condition=models.Q(status="running"), name="operation_lease"),
            models.Index(fields=["due"], condition=models.Q(status="unknown"), name="operation_due"),
            models.Index(fields=["instance_id_snapshot", "-id"], name="operation_of_instance"),
        ]

    def __str__(self) -> str:
        return f"operation {self.pk}"


class Step(models.Model):
    """One step of an operation as it happened on the host, and its undo, which leaves the rest as it was."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="steps", db_index=False)
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=64)
    status = models.CharField(max_length=12, choices=StepStatus.choices, default=StepStatus.PENDING)
    old_state = models.TextField(blank=True)
    new_state = models.TextField(blank=True)
    detail = models.TextField(blank=True, help_text="Why it failed, or a remark, in English")
    reason = models.JSONField(null=True, blank=True, help_text="The same as a message; null in older rows")
    exit_status = models.IntegerField(null=True, blank=True)
    started = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)
    output_start = models.BigIntegerField(null=True, help_text="Bytes of output before it began")
    undo_status = models.CharField(
        max_length=8, choices=UndoStatus.choices, default=UndoStatus.NONE, db_default=UndoStatus.NONE
    )
    undo_state = models.TextField(blank=True, default="", db_default="", help_text="After the undo")
    undo_detail = models.TextField(blank=True, default="", db_default="", help_text="Of the undo, as detail")
    undo_reason = models.JSONField(null=True, blank=True)
    undo_exit_status = models.IntegerField(null=True, blank=True)
    undo_started = models.DateTimeField(null=True, blank=True)
    undo_finished = models.DateTimeField(null=True, blank=True)
    undo_start = models.BigIntegerField(null=True, help_text="Bytes of output before its undo began")

    class Meta:
        db_table = "step"
        ordering = ["operation", "position"]
        constraints = [models.UniqueConstraint(fields=["operation", "position"], name="one_step_of_a_position")]

    def __str__(self) -> str:
        return self.name


class Output(models.Model):
    """A piece of what an operation's commands printed: raw bytes from `start`, an offset in the whole output.

    `line`: how many lines ended before it. So the piece that holds the millionth line is found by one look.
    """

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="output", db_index=False)
    start = models.BigIntegerField()
    line = models.BigIntegerField(default=0)
    data = models.BinaryField()

    class Meta:
        db_table = "output"
        ordering = ["operation", "start"]
        constraints = [models.UniqueConstraint(fields=["operation", "start"], name="output_without_doubles")]
        indexes = [models.Index(fields=["operation", "line"], name="output_lines")]

    def __str__(self) -> str:
        return f"output of operation {self.operation_id} from byte {self.start}"
