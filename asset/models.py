"""Hosts, and what it takes to reach them over SSH."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from access.secrets import EncryptedField


class Present(models.Manager):
    """Without what was archived."""

    def get_queryset(self):
        return super().get_queryset().filter(archived=None)


class Archivable(models.Model):
    """A row that may leave every list and choice, and stays where history, deployments and operations point at it.

    `objects`, and what other rows reach through it, has those that are there; `every` has all of them. A foreign key
    still leads to an archived row. Names are unique among those that are there alone, so they can be used again.
    """

    archived = models.DateTimeField(null=True, blank=True, help_text="Since when it is in no list; null: it is there")
    archived_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    archive_reason = models.CharField(max_length=500, blank=True, default="", db_default="")

    objects = Present()
    every = models.Manager()  # noqa: DJ012 - a manager, though it has another name

    class Meta:
        abstract = True


class Credential(models.Model):
    """What a worker proves its right with: a private key, or a password. Encrypted at rest, never given out again."""

    class Kind(models.TextChoices):
        KEY = "key", "private key"
        PASSWORD = "password", "password"

    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.KEY)
    secret = EncryptedField(help_text="A private key's text, or the password")
    passphrase = EncryptedField(blank=True, default="", help_text="Opens the private key, where it is locked")
    created = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)
    updated = models.DateTimeField(auto_now=True)
    updated_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "credential"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Asset(Archivable):
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
    # Of what commands print there; "": UTF-8, or what is recognised beyond doubt. A service's own comes first.
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
    teams = models.ManyToManyField("access.Team", through="HostTeam", blank=True, related_name="hosts")
    labels = models.JSONField(default=dict, blank=True)
    description = models.CharField(max_length=256, blank=True)
    # What the last contact showed; written by the host check and by operations, read by people only.
    reachable = models.BooleanField(null=True, default=None)
    reachable_since = models.DateTimeField(null=True, blank=True, help_text="When `reachable` last changed")
    last_contact = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    offered_key = models.TextField(
        blank=True, default="", help_text="A key the host offered that is not the pinned one"
    )
    created = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=150, blank=True)
    updated = models.DateTimeField(auto_now=True)
    updated_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "asset"
        ordering = ["hostname"]
        constraints = [
            models.UniqueConstraint(fields=["hostname"], condition=models.Q(archived=None), name="one_host_of_a_name"),
        ]

    def __str__(self) -> str:
        return f"{self.hostname}:{self.ip}"


class HostTeam(models.Model):
    """That a host belongs to a team. A team that has hosts is not deleted: they would be everybody's."""

    host = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="+", db_index=False)
    team = models.ForeignKey("access.Team", on_delete=models.PROTECT, related_name="+")

    class Meta:
        db_table = "asset_team"
        constraints = [models.UniqueConstraint(fields=["host", "team"], name="one_host_of_a_team")]

    def __str__(self) -> str:
        return f"host {self.host_id} of team {self.team_id}"
