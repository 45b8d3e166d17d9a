"""Create a key for FIELD_ENCRYPTION_KEYS."""

from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Print a new key for FIELD_ENCRYPTION_KEYS. Put it first, run rotate_keys, then remove the old ones."
    requires_system_checks = []

    def handle(self, *args: object, **options: Any) -> None:
        self.stdout.write(Fernet.generate_key().decode())
