"""Encryption of secrets at rest: one cipher for every encrypted field, with key rotation.

`FIELD_ENCRYPTION_KEYS` holds Fernet keys, newest first: the first encrypts, all decrypt. `manage.py rotate_keys`
re-encrypts every secret with the first, after which the others can be removed.
"""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression


class Secret(str):
    """A text whose printed form is redacted. Only `reveal()` returns the text itself."""

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return "[secret]"

    def __format__(self, spec: str) -> str:
        return "[secret]"

    def reveal(self) -> str:
        return str.__str__(self)


def reveal(secret: str) -> str:
    """Return the text of an encrypted field, whether it was read from the database or has just been set."""
    return secret.reveal() if isinstance(secret, Secret) else secret


class Undecryptable(Exception):
    """A stored secret cannot be read with any of FIELD_ENCRYPTION_KEYS."""

    def __init__(self) -> None:
        super().__init__(
            "a stored secret cannot be read with any of FIELD_ENCRYPTION_KEYS; was a key removed too early?"
        )


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(text: str) -> str:
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(text.encode()).decode()


def encrypt_bytes(data: bytes) -> bytes:
    """Encrypt under the newest of FIELD_ENCRYPTION_KEYS."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(data)


def decrypt_bytes(token: bytes) -> bytes:
    """Return what was encrypted. Raise Undecryptable."""
    try:
        return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(token)
    except InvalidToken as error:
        raise Undecryptable from error


def decrypt(token: str) -> Secret:
    try:
        return Secret(_cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(token.encode()).decode())
    except InvalidToken as error:
        raise Undecryptable from error


class EncryptedField(models.TextField):
    """A text that is encrypted in the database and a `Secret` in memory. Empty stays empty. It cannot be searched."""

    def from_db_value(self, value: str | None, expression: Expression, connection: BaseDatabaseWrapper) -> str | None:
        return decrypt(value) if value else value

    def get_prep_value(self, value: str | None) -> str | None:
        if not value:
            return value
        return encrypt(value.reveal() if isinstance(value, Secret) else value)
