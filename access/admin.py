"""The admin site shows rows and changes none of them where a rule or a history would be gone around."""
from django.contrib import admin
from django.http import HttpRequest

from .models import IdempotencyKey, Token


class ReadOnly(admin.ModelAdmin):
    """Rows to look at. Whoever may see a model may see all of it, but for what `exclude` names."""

    show_full_result_count = False  # counting millions of rows for a number in a corner
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj=None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj=None) -> bool:
        return False


@admin.register(Token)
class TokenAdmin(ReadOnly):
    list_display = ("name", "user", "hint", "scopes", "expires", "revoked", "last_used")
    list_select_related = ("user",)
    exclude = ("digest",)
    search_fields = ("name", "user__username")


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnly):
    # An answer may hold what is shown once only (a new token), so neither it nor the key is here.
    list_display = ("caller", "status", "created")
    fields = ("caller", "status", "lease", "created")
