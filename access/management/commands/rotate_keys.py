"""Encrypt every stored secret again under the newest key."""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db.models import F, Field, Model, TextField
from django.db.models.functions import Cast

from access.models import IdempotencyKey
from access.sealed import SealedMap, SealedMapField
from access.secrets import EncryptedField, Undecryptable, decrypt, decrypt_bytes, encrypt_bytes


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret with the first of FIELD_ENCRYPTION_KEYS. The others can be removed afterwards."
    )

    def handle(self, *args: object, **options: Any) -> None:
        written = unread = 0
        for model in apps.get_models():
            for field in model._meta.local_fields:
                again = next((again for kind, again in _AGAIN.items() if isinstance(field, kind)), None)
                if again is not None:
                    more, failed = _rotate(model, field.name, again)
                    written, unread = written + more, unread + failed
        _rotate_answers()
        self.stdout.write(f"{written} secrets are under the newest key")
        if unread:
            raise CommandError(f"{unread} secrets cannot be read with any of FIELD_ENCRYPTION_KEYS; give them again")


# How each kind of field is encrypted again from what is stored. A map counts as one secret.
_AGAIN: dict[type[Field], Callable[[str], object]] = {
    EncryptedField: decrypt,
    SealedMapField: lambda stored: SealedMap.parse(stored).rotated(),
}


def _rotate(model: type[Model], name: str, again: Callable[[str], object]) -> tuple[int, int]:
    """Return how many were encrypted again, and how many could not be decrypted."""
    written = unread = 0
    rows = model._default_manager.annotate(raw=Cast(F(name), TextField()))
    for key, raw in list(rows.exclude(raw="").values_list("pk", "raw")):
        try:
            secret = again(raw)
        except Undecryptable:
            unread += 1
            continue
        # Conditional on what was read: a secret that is set at this moment is not overwritten.
        written += rows.filter(pk=key, raw=raw).update(**{name: secret})
    return written, unread


def _rotate_answers() -> None:
    """Re-encrypt stored responses. Delete those that cannot be decrypted: they are useless."""
    for row in IdempotencyKey.objects.exclude(status=None).iterator():
        try:
            body = encrypt_bytes(decrypt_bytes(bytes(row.body)))
        except Undecryptable:
            row.delete()
        else:
            IdempotencyKey.objects.filter(pk=row.pk, body=row.body).update(body=body)
