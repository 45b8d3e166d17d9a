"""Services, their versions, and the instances that run on hosts."""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from access.authorship import Created, CreatedAndUpdated
from access.sealed import SealedMap, SealedMapField
from asset.models import Archivable, Asset
from messages.rendering import render, stored

from ..status import BUILD_CANCELLED, BuildStatus, InstanceStatus

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]*\Z"
# The codes are those of texts: see access/model_errors.py.
valid_name = RegexValidator(NAME_PATTERN, code="name_syntax")
not_all_digits = RegexValidator(r"^\d+\Z", inverse_match=True, code="all_digits")
PORT = [MinValueValidator(0), MaxValueValidator(65535)]


class MicroService(CreatedAndUpdated):
    """A program with many versions, and how it is built and deployed."""

    class Language(models.TextChoices):
        CPP = "cpp", "C++"
        GO = "go", "Go"
        PYTHON = "python", "Python"
        OTHER = "other", "other"

    class Origin(models.TextChoices):
        GIT = "git", "git"
        GITLAB = "gitlab", "GitLab"
        JENKINS = "jenkins", "Jenkins"
        IMAGE = "image", "image"

    name = models.CharField(max_length=64, unique=True, validators=[valid_name, not_all_digits])
    language = models.CharField(max_length=16, choices=Language.choices, default=Language.OTHER)
    build_orig = models.CharField(max_length=16, choices=Origin.choices, default=Origin.GIT)
    build_url = models.CharField(max_length=500, blank=True)
    build_command = models.TextField(blank=True)
    # Secrets of the build command, and the credential of git: "password" for https, "key" for ssh.
    build_secrets = SealedMapField(default=SealedMap, db_default="", blank=True, editable=False)
    build_username = models.CharField(max_length=128, blank=True, default="", db_default="")
    build_credential = SealedMapField(default=SealedMap, db_default="", blank=True, editable=False)
    # Patterns of the branches and tags that are built ("main", "release/*"); [] for all.
    build_refs = models.JSONField(default=list, blank=True)
    build_depth = models.PositiveIntegerField(
        default=0,
        db_default=0,
        validators=[MaxValueValidator(1_000_000)],
        help_text="How many commits of the history a build from git sees; 0: all of it, with every tag",
    )
    # What an image is built from, for the origin `image`: see catalog/recipes.py.
    recipe = models.JSONField(default=dict, db_default={}, blank=True)
    description = models.CharField(max_length=256, blank=True)
    # On the web, for people; "{commit}" in the last stands for a hash: see catalog/links.py.
    repository_url = models.CharField(max_length=500, blank=True, default="", db_default="")
    ci_url = models.CharField(max_length=500, blank=True, default="", db_default="")
    commit_url = models.CharField(max_length=500, blank=True, default="", db_default="")
    # For services without a team see access/roles.py.
    team = models.ForeignKey("access.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="services")
    # How it is deployed. Commands are shell text of those who may change the service; everything else is quoted data.
    start_command = models.TextField(blank=True)
    stop_command = models.TextField(blank=True)
    check_command = models.TextField(blank=True)
    check_timeout = models.PositiveIntegerField(default=60, validators=[MinValueValidator(1), MaxValueValidator(86400)])
    environment = models.JSONField(default=dict, blank=True)
    # Available to the same commands as `environment`, and write-only: see catalog/secrets.py.
    secrets = SealedMapField(default=SealedMap, db_default="", blank=True, editable=False)
    pre_command = models.TextField(blank=True)
    pre_undo_command = models.TextField(blank=True)
    post_command = models.TextField(blank=True)
    post_undo_command = models.TextField(blank=True)
    # The host's user that runs the commands; "" for the one that deploys.
    run_as = models.CharField(max_length=32, blank=True)
    private_releases = models.BooleanField(default=False, help_text="Only that user's group may read the releases")
    # Of its commands' output; "" for the host's. Output is stored as bytes, so it may be set afterwards.
    encoding = models.CharField(max_length=16, blank=True, default="", db_default="")
    keep_releases = models.PositiveIntegerField(
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="How many releases stay on a host, the running one included",
    )
    limits = models.JSONField(default=dict, blank=True)
    steps = models.JSONField(default=list, blank=True)
    # How its upgrades, reverts and deploys work through their hosts where a request does not say: a Strategy as JSON.
    default_strategy = models.JSONField(default=dict, db_default={}, blank=True)
    auto_deploy_tag = models.CharField(
        max_length=64, blank=True, help_text="Tag of the instances that follow each new build"
    )
    # Where each new build goes: with a tag, only to the instances with it. Protected: without its environment, a build
    # would go to the tag's instances everywhere.
    auto_deploy_environment = models.ForeignKey(
        "asset.Environment", null=True, blank=True, on_delete=models.PROTECT, related_name="followed_by"
    )
    auto_deploy_refs = models.JSONField(default=list, db_default=[], blank=True)  # patterns; []: of every branch
    auto_deploy_strategy = models.JSONField(default=dict, db_default={}, blank=True)  # {}: as any other request

    class Meta:
        db_table = "micro_service"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_built_by_workers(self) -> bool:
        """Whether its versions are built by our own workers, not by a build server."""
        return self.build_orig in BUILT_BY_WORKERS

    @property
    def builds_images(self) -> bool:
        """Whether its versions are images that are built from its recipe."""
        return self.build_orig == self.Origin.IMAGE


BUILT_BY_WORKERS = frozenset({MicroService.Origin.GIT.value, MicroService.Origin.IMAGE.value})


class MicroServiceVersion(Archivable, Created):
    """One build of a service; never edited once built. A deleted one is archived: past operations keep its name."""

    microservice = models.ForeignKey(MicroService, on_delete=models.PROTECT, related_name="versions")
    version = models.CharField(max_length=128, validators=[valid_name])
    description = models.CharField(max_length=256, blank=True)
    ref = models.CharField(max_length=250, default="master")
    status = models.IntegerField(choices=BuildStatus.choices, default=BuildStatus.PENDING)
    # Set by `packages` only, always in the service's own folder: code that sets it can read and remove the object.
    file_path = models.CharField(max_length=255, blank=True)
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the package as it is stored and sent to hosts")
    source_sha256 = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Of the file that was uploaded"
    )
    # Hash of the contents; "" for a package from before uploads were rewritten.
    manifest = models.CharField(max_length=64, blank=True, default="", db_default="")
    size = models.BigIntegerField(null=True, blank=True)
    unpacked_size = models.BigIntegerField(null=True, blank=True)
    # For a version that is an image, which its package names: pinned ("registry/name@sha256:…"), and by its tag as it
    # was given or pushed. `recipe`: what it was built from.
    image = models.CharField(max_length=512, blank=True, default="", db_default="")
    image_tag = models.CharField(max_length=512, blank=True, default="", db_default="")
    recipe = models.JSONField(default=dict, db_default={}, blank=True)
    bad = models.BooleanField(default=False)
    bad_reason = models.CharField(max_length=256, blank=True)
    # Why the build has its status: in English, and as a message. Rows of earlier versions have the sentence alone.
    build_detail = models.CharField(max_length=500, blank=True, help_text="Why the build has its status, in English")
    build_detail_code = models.CharField(max_length=64, blank=True, default="", db_default="")
    build_detail_params = models.JSONField(default=dict, db_default={})

    class Meta:
        db_table = "micro_service_version"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["microservice", "version"], condition=models.Q(archived=None), name="one_version_of_a_name"
            )
        ]
        indexes = [models.Index(fields=["microservice", "status", "-id"], name="version_newest")]

    def __str__(self) -> str:
        return self.version

    @property
    def is_build_cancelled(self) -> bool:
        return self.build_detail_code.startswith(BUILD_CANCELLED)

    @property
    def build_reason(self) -> str:
        """Why its build has its status, in the active language."""
        return render(stored(self.build_detail_code, self.build_detail_params, self.build_detail))


class MicroServiceInstance(CreatedAndUpdated):
    """A service on a host, with the version that runs. `locked`: an operation holds it; one at a time."""

    microservice = models.ForeignKey(MicroService, on_delete=models.PROTECT, related_name="instances", db_index=False)
    # Null until the first install has succeeded: nothing runs yet.
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
    # The latest operation that finished here: a retry repeats it.
    last_operation = models.ForeignKey("Operation", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # The sweep retries a failed delete with growing pauses, until it succeeds.
    retry_at = models.DateTimeField(null=True, blank=True)
    delete_attempts = models.PositiveIntegerField(default=0)
    # The highest fence issued for this instance (deployments/enqueue.py).
    fence = models.BigIntegerField(default=0)

    class Meta:
        db_table = "micro_service_instance"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["microservice", "host"], name="one_instance_of_a_service_on_a_host"),
        ]
        indexes = [
            models.Index(fields=["microservice", "version", "status"], name="instance_what_runs"),
            models.Index(fields=["lock_deployment"], condition=models.Q(locked=True), name="instance_locks"),
            models.Index(fields=["retry_at"], condition=models.Q(retry_at__isnull=False), name="instance_retry_at"),
        ]

    def __str__(self) -> str:
        return f"{self.microservice} on {self.host}"

    @property
    def was_never_installed(self) -> bool:
        """The first install failed, so another version may be installed in its place."""
        return self.version_id is None and self.status == InstanceStatus.INSTALL_FAILED and not self.locked

    @property
    def delete_is_stuck(self) -> bool:
        return self.status == InstanceStatus.DELETE_FAILED and self.delete_attempts > 0
