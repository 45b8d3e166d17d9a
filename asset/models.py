"""Hosts, and what it takes to reach them over SSH."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from access.authorship import CreatedAndUpdated
from access.models import Team
from access.secrets import EncryptedField
from deployer.engine.codes import sentence
from messages import Message
from messages.rendering import render


class Present(models.Manager):
    """Only rows that are not archived."""

    def get_queryset(self) -> models.QuerySet:
        return super().get_queryset().filter(archived=None)


class Archivable(models.Model):
    """A row that can be archived: in no list and no choice, but there for history, deployments and operations.

    `objects`, and reverse relations to the model, leave archived rows out; `every` has all of them. A foreign key still
    leads to an archived row. Names are unique among the others only, so they can be used again.
    """

    archived = models.DateTimeField(null=True, blank=True, help_text="When it was archived; null: it was not")
    archived_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    archive_reason = models.CharField(max_length=500, blank=True, default="", db_default="")

    objects = Present()
    every = models.Manager()  # noqa: DJ012 - a manager, though it has another name

    class Meta:
        abstract = True


class Credential(CreatedAndUpdated):
    """What workers log in with: a private key or a password. Encrypted at rest, never shown again."""

    class Kind(models.TextChoices):
        KEY = "key", "private key"
        PASSWORD = "password", "password"

    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.KEY)
    secret = EncryptedField(help_text="A private key's text, or the password")
    passphrase = EncryptedField(blank=True, default="", help_text="Opens the private key, where it is locked")

    class Meta:
        db_table = "credential"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Environment(CreatedAndUpdated):
    """A named place where services run, such as staging. Hosts are in one at most; rules: environments.py."""

    class Colour(models.TextChoices):
        GREY = "grey", "grey"
        BLUE = "blue", "blue"
        GREEN = "green", "green"
        AMBER = "amber", "amber"
        RED = "red", "red"
        VIOLET = "violet", "violet"

    name = models.CharField(max_length=64, unique=True)
    position = models.PositiveIntegerField(
        default=0, help_text="Its place in the order of environments, the least first"
    )
    colour = models.CharField(max_length=8, choices=Colour.choices, default=Colour.GREY)
    description = models.CharField(max_length=256, blank=True)
    # A version must have run well there, for so long, before it may be deployed here.
    requires = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="required_by")
    soak_minutes = models.PositiveIntegerField(default=0)
    approvals = models.PositiveIntegerField(
        default=0, db_default=0, help_text="How many people other than who asks must say yes"
    )
    # Who may say it; null: whoever may deploy the service. Protected: without its team it would be everybody.
    approvers = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="approves")
    approve_reverts = models.BooleanField(default=False, db_default=False, help_text="Reverts wait for approval too")
    tokens_deploy = models.BooleanField(
        default=True, db_default=True, help_text="Without it, what a token asks for waits for one person at least"
    )
    default_strategy = models.JSONField(default=dict, db_default={}, blank=True)  # {}: the service's own
    wait_hours = models.PositiveIntegerField(default=24, db_default=24, help_text="What still waits then is cancelled")

    class Meta:
        db_table = "environment"
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class Asset(Archivable, CreatedAndUpdated):
    """A host: a machine reached over SSH."""

    hostname = models.CharField(max_length=253)
    ip = models.CharField(max_length=253, help_text="An address, or a name that is resolved at each connection")
    port = models.PositiveIntegerField(default=22, validators=[MinValueValidator(1), MaxValueValidator(65535)])
    username = models.CharField(max_length=64, default="root")
    credential = models.ForeignKey(Credential, null=True, blank=True, on_delete=models.PROTECT, related_name="hosts")
    host_key = models.TextField(blank=True, default="", help_text='The pinned key, as "ssh-ed25519 AAAA…"')
    base_path = models.CharField(max_length=512, default="/srv/services", help_text="Absolute; services live below it")
    sudo = models.BooleanField(default=False, help_text="Run the program under sudo -n")
    legacy_algorithms = models.BooleanField(default=False, help_text="Old SSH algorithms are offered to it too")
    # Of command output; "": UTF-8, or what is detected beyond doubt. A service's own encoding comes first.
    encoding = models.CharField(max_length=16, blank=True, default="", db_default="")
    jump_host = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="behind")
    package_port = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1024), MaxValueValidator(65535)],
        help_text="Hosts reached through this one fetch packages from it on this port; none: they do not",
    )
    package_address = models.GenericIPAddressField(
        null=True, blank=True, unpack_ipv4=True, help_text="Where they find it, if not at its ip"
    )
    environment = models.ForeignKey(Environment, null=True, blank=True, on_delete=models.PROTECT, related_name="hosts")
    environment_since = models.DateTimeField(null=True, blank=True, help_text="When it came into its environment")
    teams = models.ManyToManyField("access.Team", through="HostTeam", blank=True, related_name="hosts")
    labels = models.JSONField(default=dict, blank=True)
    description = models.CharField(max_length=256, blank=True)
    # The result of the last contact; written by the host check and by operations, read by people only.
    reachable = models.BooleanField(null=True, default=None)
    reachable_since = models.DateTimeField(null=True, blank=True, help_text="When `reachable` last changed")
    last_contact = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)  # in English
    last_error_message = models.JSONField(null=True, blank=True, help_text="The same as a code and parameters")
    offered_key = models.TextField(
        blank=True, default="", help_text="A key the host offered that is not the pinned one"
    )

    class Meta:
        db_table = "asset"
        ordering = ["hostname"]
        constraints = [
            models.UniqueConstraint(fields=["hostname"], condition=models.Q(archived=None), name="one_host_of_a_name"),
        ]

    def __str__(self) -> str:
        return f"{self.hostname}:{self.ip}"

    @property
    def last_error_text(self) -> str:
        """What went wrong at the last contact, in the reader's language; in English where an older row has no code."""
        return (
            render(sentence(Message.from_json(self.last_error_message))) if self.last_error_message else self.last_error
        )


class HostGroup(CreatedAndUpdated):
    """A name for the hosts that have certain labels: those that have them now, whenever it is used."""

    name = models.CharField(max_length=64, unique=True)
    labels = models.JSONField(help_text="A selector: asset/labels.py")
    description = models.CharField(max_length=256, blank=True)

    class Meta:
        db_table = "host_group"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class HostTeam(models.Model):
    """A host belongs to a team. A team with hosts cannot be deleted: they would be open to everyone."""

    host = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="+", db_index=False)
    team = models.ForeignKey("access.Team", on_delete=models.PROTECT, related_name="+")

    class Meta:
        db_table = "asset_team"
        constraints = [models.UniqueConstraint(fields=["host", "team"], name="one_host_of_a_team")]

    def __str__(self) -> str:
        return f"host {self.host_id} of team {self.team_id}"
