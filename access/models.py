"""Tokens, sessions, teams and roles, and stored responses to requests that may be repeated."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from access.authorship import Created
from access.roles import Role


class Token(Created):
    """A credential for pipelines and scripts. Only its hash is stored: the token itself is shown once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    # The token that created this one, if any. Revoking a token revokes all its descendants: tokens.revoke.
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    name = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token")
    hint = models.CharField(max_length=8, help_text="The token's first characters, to tell tokens apart")
    scopes = models.JSONField(default=list)  # of access.callers.SCOPES
    services = models.JSONField(default=list, blank=True)  # service ids; empty: every service
    expires = models.DateTimeField(null=True, blank=True)
    revoked = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "token"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class TokenAddress(models.Model):
    """An address that a token was used from. At most token_use.MAX_ADDRESSES rows a token."""

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="addresses")
    address = models.CharField(max_length=64)
    first_used = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "token_address"
        constraints = [models.UniqueConstraint(fields=["token", "address"], name="one_row_for_an_address")]

    def __str__(self) -> str:
        return f"{self.token} from {self.address}"


class Session(models.Model):
    """A browser session. Only a hash of the cookie is stored, so that a reader of the database cannot use it."""

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the cookie")
    data = models.TextField(help_text="Signed, as django.contrib.sessions signs it")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="sessions")
    address = models.CharField(max_length=64, blank=True, help_text="Where the person signed in from")
    agent = models.CharField(max_length=200, blank=True, help_text="The browser's own words, shortened")
    created = models.DateTimeField(default=timezone.now)
    seen = models.DateTimeField(default=timezone.now, help_text="The last request by hand; noted once a minute")
    proved = models.DateTimeField(null=True, help_text="When the password was last given in this session")

    class Meta:
        db_table = "user_session"
        ordering = ["-seen"]

    def __str__(self) -> str:
        return f"{self.user} from {self.address}"


class ServiceAccount(Created):
    """Marks a user as a machine's: it has tokens and roles, no password, and cannot sign in to the console."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="service_account"
    )

    class Meta:
        db_table = "service_account"

    def __str__(self) -> str:
        return str(self.user)


class FailedSignIns(models.Model):
    """The number of failed sign-ins to an account from an address within a few minutes: see failed_sign_ins.py."""

    key = models.CharField(max_length=64, primary_key=True)
    user_id = models.IntegerField(null=True)  # null: an unknown account, or a row for several
    username = models.CharField(max_length=150, blank=True)
    address = models.CharField(max_length=64, blank=True)
    failed = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0, help_text="Not tried at all: there were too many before")
    since = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "failed_sign_ins"

    def __str__(self) -> str:
        return f"{self.username} from {self.address}"


class IdempotencyKey(models.Model):
    """The response to a POST, stored for 24 hours, so that a repeated request gets the same bytes and acts once."""

    caller = models.CharField(max_length=160)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, path and body")
    status = models.PositiveIntegerField(null=True)  # null: the first request is still in progress
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=bytes)
    lease = models.DateTimeField(help_text="Still being answered: until when that is believed")
    created = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        db_table = "idempotency_key"
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="one_answer_for_a_key")]

    def __str__(self) -> str:
        return f"{self.key} of {self.caller}"


class Throttle(models.Model):
    """How often something was attempted recently: see throttle.py."""

    key = models.CharField(max_length=80, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "throttle"

    def __str__(self) -> str:
        return self.key


class KnownAddress(models.Model):
    """An address that an account was used from before: see throttle.py. Both are hashed."""

    key = models.CharField(max_length=80, unique=True)
    seen = models.DateTimeField()

    class Meta:
        db_table = "known_address"

    def __str__(self) -> str:
        return self.key


class Team(Created):
    """Users who own services together."""

    name = models.CharField(max_length=64, unique=True)
    description = models.CharField(max_length=256, blank=True)

    class Meta:
        db_table = "team"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A user's role in a team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "membership"
        ordering = ["team", "user"]
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_role_in_a_team")]

    def __str__(self) -> str:
        return f"{self.user}, {self.role} of {self.team}"
