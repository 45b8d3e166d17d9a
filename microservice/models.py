"""Services, their versions, what runs where, and what was asked to change it.

The rows are the queue and the truth: a Celery message only says that there is work. Rules about them live in
`status.py` (what may become what), `deployments.py` (requests), `ledger.py` (what workers write) and `rollout.py`.

A foreign key with which another index begins has none of its own (`db_index=False`): each index costs a write for every
row that a request locks or a worker records.
"""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from asset.models import Asset

from .status import (
    Action,
    BuildStatus,
    DeploymentStatus,
    InstanceStatus,
    OperationStatus,
    StepStatus,
    UndoStatus,
)

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]*\Z"
valid_name = RegexValidator(NAME_PATTERN, "starts with a letter or a digit, then letters, digits and . _ + -")
not_all_digits = RegexValidator(r"^\d+\Z", "must not be all digits", inverse_match=True)
PORT = [MinValueValidator(0), MaxValueValidator(65535)]


class MicroService(models.Model):
    """A service: a program with many versions, and how it is deployed."""

    class Language(models.TextChoices):
        CPP = "cpp", "C++"
        GO = "go", "Go"
        PYTHON = "python", "Python"
        OTHER = "other", "other"

    class Origin(models.TextChoices):
        GIT = "git", "git"
        GITLAB = "gitlab", "GitLab"
        JENKINS = "jenkins", "Jenkins"

    name = models.CharField(max_length=64, unique=True, validators=[valid_name, not_all_digits])
    language = models.CharField(max_length=16, choices=Language.choices, default=Language.OTHER)
    build_orig = models.CharField(max_length=16, choices=Origin.choices, default=Origin.GIT)
    build_url = models.CharField(max_length=128, blank=True)
    build_command = models.TextField(blank=True)
    description = models.CharField(max_length=256, blank=True)
    # Whose it is. Without a team it belongs to everybody: see access/roles.py.
    team = models.ForeignKey("access.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="services")
    # How it is deployed: commands are the service administrator's own shell text, everything else is quoted data.
    start_command = models.TextField(blank=True)
    stop_command = models.TextField(blank=True)
    check_command = models.TextField(blank=True)
    check_timeout = models.PositiveIntegerField(default=60, validators=[MinValueValidator(1), MaxValueValidator(86400)])
    environment = models.JSONField(default=dict, blank=True)
    pre_command = models.TextField(blank=True)
    pre_undo_command = models.TextField(blank=True)
    post_command = models.TextField(blank=True)
    post_undo_command = models.TextField(blank=True)
    keep_releases = models.PositiveIntegerField(
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="How many releases stay on a host, the running one included",
    )
    limits = models.JSONField(default=dict, blank=True)
    steps = models.JSONField(default=list, blank=True)
    auto_deploy = models.CharField(
        max_length=64, blank=True, help_text="Tag of the instances that follow each new build"
    )
    created = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)
    updated = models.DateTimeField(auto_now=True)
    updated_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "micro_service"
        ordering = ["name"]

    def __str__(self):
        return self.name


class MicroServiceVersion(models.Model):
    """One build of a service; never edited once built."""

    microservice = models.ForeignKey(MicroService, on_delete=models.PROTECT, related_name="versions")
    version = models.CharField(max_length=48, validators=[valid_name])
    description = models.CharField(max_length=256, blank=True)
    ref = models.CharField(max_length=128, default="master")
    status = models.IntegerField(choices=BuildStatus.choices, default=BuildStatus.PENDING)
    file_path = models.CharField(max_length=255, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    unpacked_size = models.BigIntegerField(null=True, blank=True)
    bad = models.BooleanField(default=False)
    bad_reason = models.CharField(max_length=256, blank=True)
    build_detail = models.CharField(max_length=500, blank=True, help_text="Why the build is what it is")
    created = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "micro_service_version"
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["microservice", "version"], name="one_version_of_a_name")]
        indexes = [models.Index(fields=["microservice", "status", "-id"], name="version_newest")]

    def __str__(self):
        return self.version


class MicroServiceInstance(models.Model):
    """One service on one host, with the version it runs. `locked`: one operation at a time."""

    microservice = models.ForeignKey(MicroService, on_delete=models.PROTECT, related_name="instances", db_index=False)
    # Null while the first install has not ended well: nothing runs yet.
    version = models.ForeignKey(
        MicroServiceVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="instances"
    )
    previous_version = models.ForeignKey(
        MicroServiceVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    host = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="instances")
    port = models.PositiveIntegerField(default=0, validators=PORT)
    tag = models.CharField(max_length=64, blank=True)
    weight = models.PositiveIntegerField(default=100, validators=[MaxValueValidator(1_000_000)])
    description = models.CharField(max_length=256, blank=True)
    status = models.IntegerField(choices=InstanceStatus.choices, default=InstanceStatus.INSTALLING)
    is_maintain = models.BooleanField(default=False)
    locked = models.BooleanField(default=False)
    lock_deployment = models.ForeignKey(
        "Deployment", null=True, blank=True, on_delete=models.PROTECT, related_name="locks"
    )
    locked_since = models.DateTimeField(null=True, blank=True)
    status_before = models.IntegerField(
        choices=InstanceStatus.choices,
        default=InstanceStatus.RUNNING,
        db_default=InstanceStatus.RUNNING,
        help_text="What it was when it was locked",
    )
    # The newest operation that ended here: what a retry repeats.
    last_operation = models.ForeignKey("Operation", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # A delete that failed is tried again by the sweep, with growing pauses, until it is done.
    again_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    # The highest fence given out for this instance; see `first_fence`.
    fence = models.BigIntegerField(default=0)
    created = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)
    updated = models.DateTimeField(auto_now=True)
    updated_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "micro_service_instance"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["microservice", "host"], name="one_instance_of_a_service_on_a_host"),
        ]
        indexes = [
            models.Index(fields=["microservice", "version", "status"], name="instance_what_runs"),
            models.Index(fields=["lock_deployment"], condition=models.Q(locked=True), name="instance_locks"),
            models.Index(fields=["again_at"], condition=models.Q(again_at__isnull=False), name="instance_again"),
        ]

    def __str__(self):
        return f"{self.microservice} on {self.host}"


class Deployment(models.Model):
    """One request: an action over a list of instances."""

    microservice = models.ForeignKey(MicroService, on_delete=models.PROTECT, related_name="deployments")
    action = models.CharField(max_length=8, choices=Action.choices)
    from_version = models.ForeignKey(MicroServiceVersion, null=True, on_delete=models.PROTECT, related_name="+")
    dest_version = models.ForeignKey(MicroServiceVersion, null=True, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, choices=DeploymentStatus.choices, default=DeploymentStatus.QUEUED)
    status_reason = models.CharField(max_length=500, blank=True)
    # {"batch_size", "canary", "max_failures", "on_failure", "pause_between"}, every key present: rollout.Strategy
    strategy = models.JSONField(default=dict)
    # [{"instance_id", "host_id", "host", "reason", "code"}]: targets that were asked for and left out
    skipped = models.JSONField(default=list)
    # How the service is deployed, as it stood at the request (atoms.spec_of): later edits do not reach what was asked.
    spec = models.JSONField(default=dict)
    # What an install gives its instances: {"port", "tag", "weight"}. Those behind a delete do not exist yet.
    instance_fields = models.JSONField(default=dict, blank=True)
    # The deployment that this one retries or reverts.
    origin = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="followers")
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

    def __str__(self):
        return f"deployment {self.pk}"


class Operation(models.Model):
    """A deployment's part on one instance, and (while it runs) who may write for it and until when."""

    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="operations", db_index=False)
    # Deleting an instance removes its row; its operations stay and name the host. An install that waits behind a
    # delete on its host has none yet: it becomes due when the old row is gone (behind.py).
    instance = models.ForeignKey(
        MicroServiceInstance, null=True, blank=True, on_delete=models.SET_NULL, related_name="operations"
    )
    instance_number = models.BigIntegerField(help_text="The instance's id, kept after the instance is gone")
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
    error = models.TextField(blank=True)
    error_step = models.CharField(max_length=64, blank=True)
    # Who may write, and until when (on the database's clock). A takeover raises the fence; a lower one is refused.
    owner = models.CharField(max_length=64, blank=True)
    fence = models.BigIntegerField(default=0)
    lease = models.DateTimeField(null=True, blank=True)
    due = models.DateTimeField(null=True, blank=True, help_text="UNKNOWN: when the host is asked again")
    unknown_since = models.DateTimeField(null=True, blank=True)
    asked = models.PositiveIntegerField(default=0, help_text="UNKNOWN: how often the host was asked")
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
            models.Index(fields=["instance_number", "-id"], name="operation_of_instance"),
        ]

    def __str__(self):
        return f"operation {self.pk}"


class Step(models.Model):
    """One step of an operation as it happened on the host."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="steps", db_index=False)
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=64)
    status = models.CharField(max_length=12, choices=StepStatus.choices, default=StepStatus.PENDING)
    old_state = models.TextField(blank=True)
    new_state = models.TextField(blank=True)
    detail = models.TextField(blank=True, help_text="Why it failed, in words")
    exit_status = models.IntegerField(null=True, blank=True)
    started = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "step"
        ordering = ["operation", "position"]
        constraints = [models.UniqueConstraint(fields=["operation", "position"], name="one_step_of_a_position")]

    def __str__(self):
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

    def __str__(self):
        return f"output of operation {self.operation_id} from byte {self.start}"


class Event(models.Model):
    """What changed, in the order of commit: the rows behind every live view. See events.py for who writes and how."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="events", db_index=False)
    operation = models.ForeignKey(Operation, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16)  # deployment | operation | step | output
    data = models.JSONField(default=dict)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "event"
        ordering = ["id"]
        indexes = [models.Index(fields=["deployment", "id"], name="event_of_deployment")]

    def __str__(self):
        return f"event {self.pk}: {self.kind}"


class History(models.Model):
    """Who did what to what, when, from where, from what to what. Only ever added to."""

    created = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=150)
    address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=32)  # create, change, delete, deploy, cancel, unlock, trust …
    subject = models.CharField(max_length=32)  # service, version, instance, host, credential, token, deployment
    subject_id = models.BigIntegerField(null=True)
    subject_name = models.CharField(max_length=300, blank=True)
    microservice = models.ForeignKey(MicroService, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
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

    def __str__(self):
        return f"{self.actor}: {self.action} {self.subject_name}"


class HistoryHead(models.Model):
    """The one row that says where the history's chain ends, and what it begins with since the oldest were pruned."""

    position = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)
    first_position = models.BigIntegerField(default=0)
    first_hash = models.CharField(max_length=64)

    class Meta:
        db_table = "history_head"

    def __str__(self):
        return f"{self.position}:{self.hash}"


class Heartbeat(models.Model):
    """A worker process that was seen lately: what /readyz asks for."""

    worker = models.CharField(max_length=64, primary_key=True)
    seen = models.DateTimeField()
    slots = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "worker_heartbeat"

    def __str__(self):
        return self.worker
