"""A form that is sent twice (a double click, a reload, the back button) starts one deployment.

The key is a row that is written in the same transaction as the deployment: whoever comes second waits for that
transaction, and then finds its answer. A crash takes both away, so no key is ever stuck.
"""

import hashlib
import re
from collections.abc import Callable

from django.db import IntegrityError, transaction
from django.utils import timezone

from access.callers import Caller
from access.models import IdempotencyKey
from access.problems import Problem, invalid
from microservice.models import Deployment

ACCEPTED = 202
_KEY = re.compile(r"[0-9a-f-]{36}\Z")


def once(caller: Caller, key: str, asked: str, run: Callable[[], Deployment]) -> int:
    """The id of the deployment that `run` starts, or of the one that the same form started before.

    `key` is the form's own uuid, `asked` what it asks for: the same key for something else is a 422.
    """
    if not _KEY.match(key):
        raise invalid("/key", "is not this form's key", hint="Load the page again.")
    fingerprint = hashlib.sha256(asked.encode()).hexdigest()
    mine = {"caller": caller.key, "key": f"console {key}"}
    with transaction.atomic():
        try:
            with transaction.atomic():
                row = IdempotencyKey.objects.create(
                    **mine, fingerprint=fingerprint, status=ACCEPTED, lease=timezone.now()
                )
        except IntegrityError:
            return _before(mine, fingerprint)
        row.body = str(run().pk).encode()
        row.save(update_fields=["body"])
        return int(row.body)


def _before(mine: dict[str, str], fingerprint: str) -> int:
    row = IdempotencyKey.objects.get(**mine)
    if row.fingerprint != fingerprint:
        raise Problem(
            422, "idempotency_key_reused", "This form was sent before with other choices.", "Load the page again."
        )
    return int(bytes(row.body))
