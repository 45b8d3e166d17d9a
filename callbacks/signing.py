"""Signatures of Standard Webhooks (standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`.

docs/decisions/0021-own-webhook-signatures.md says why this is not the library of that name.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

from messages import Message
from messages.rendering import english

PREFIX = "whsec_"
MIN_KEY, MAX_KEY = 16, 64  # bytes


class BadSecret(ValueError):
    """A secret from which no key can be made."""

    def __init__(self, message: Message):
        super().__init__(english(message))
        self.message = message


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """Return the key in a secret. Raise BadSecret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise BadSecret(Message("webhook_secret_format")) from None
    if not MIN_KEY <= len(key) <= MAX_KEY:
        raise BadSecret(Message("webhook_secret_length", {"min": MIN_KEY, "max": MAX_KEY}))
    return key


def headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return a message's headers: id, time, and the signature if there is a secret. `timestamp`: unix seconds."""
    told = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    if not secret:
        return told
    signed = f"{message_id}.{timestamp}.".encode() + body
    mac = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    return told | {"webhook-signature": "v1," + base64.b64encode(mac).decode()}
