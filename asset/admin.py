"""Hosts and credentials in the admin site: to look at. They are changed through the API and the console, whose rules
(and whose history) a bare form would go around; secrets are not shown at all."""
from django.contrib import admin

from access.admin import ReadOnly

from .models import Asset, Credential


@admin.register(Asset)
class AssetAdmin(ReadOnly):
    list_display = ("hostname", "ip", "port", "username", "sudo", "reachable", "last_contact")
    list_filter = ("reachable", "sudo")
    search_fields = ("hostname", "ip")


@admin.register(Credential)
class CredentialAdmin(ReadOnly):
    list_display = ("name", "kind", "updated", "updated_by")
    exclude = ("secret", "passphrase")
    search_fields = ("name",)
