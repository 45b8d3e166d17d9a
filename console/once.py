"""A form that is submitted twice (a double click, a reload, the back button) starts one deployment, or one train.

Its key is a row written in the same transaction: a second submission waits for that transaction and finds what it
started. A crash rolls back both, so no key is ever stuck.
"""

import hashlib
import re
from collections.abc import Callable

from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils import timezone

from access.callers import Caller
from access.models import IdempotencyKey
from access.problems import invalid, refused

ACCEPTED = 202
_KEY = re.compile(r"[0-9a-f-]{36}\Z")


def once(caller: Caller, key: str, request: str, run: Callable[[], Model]) -> int:
    """Return the id of what `run` starts, or of what this form started before.

    `key`: the form's uuid; `request`: what the form asks for. Raise Problem 422 if the key came with another request.
    """
    if not _KEY.match(key):
        raise invalid("/key", "not_form_key")
    fingerprint = hashlib.sha256(request.encode()).hexdigest()
    own = {"caller": caller.key, "key": f"console {key}"}
    with transaction.atomic():
        try:
            with transaction.atomic():
                row = IdempotencyKey.objects.create(
                    **own, fingerprint=fingerprint, status=ACCEPTED, lease=timezone.now()
                )
        except IntegrityError:
            return _deployment_of(own, fingerprint)
        row.body = str(run().pk).encode()
        row.save(update_fields=["body"])
        return int(row.body)


def _deployment_of(own: dict[str, str], fingerprint: str) -> int:
    row = IdempotencyKey.objects.get(**own)
    if row.fingerprint != fingerprint:
        raise refused("idempotency_key_reused.form")
    return int(bytes(row.body))
