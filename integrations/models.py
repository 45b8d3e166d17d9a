"""The settings of integrations: the newest row is current, and every older one is kept."""

from django.db import models
from django.utils import timezone

from access.secrets import EncryptedField


class Setting(models.Model):
    """One revision of the whole document. Rows are never changed: a change is a new row."""

    # JSON of {part: {field: value}}, all of it encrypted: it holds passwords, tokens and private keys.
    document = EncryptedField()
    findings = models.JSONField(default=list, help_text="What the test that it passed found, part by part")
    reason = models.CharField(max_length=300, blank=True)
    restored = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "setting"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"settings {self.pk}"
