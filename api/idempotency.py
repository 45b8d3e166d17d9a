"""Idempotency-Key: a POST that is sent twice runs once, and gets the same answer twice.

The key's row is inserted first, under a lease; the unique constraint admits one of many equal requests. The work and
its answer are committed in one transaction, so no crash can keep one without the other. The key of a process that died
before that is free again when its lease has expired.
"""

import hashlib
import hmac
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import Error, IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from access import throttle
from access.callers import Caller
from access.models import IdempotencyKey
from access.problems import FieldError, invalid, refused
from access.secrets import Undecryptable, decrypt_bytes, encrypt_bytes
from runtime.db_connections import release_connection

from . import uploads

HEADER = "Idempotency-Key"
WELL_FORMED = re.compile(r"[\x21-\x7e]{1,255}")
RETENTION = timedelta(hours=24)
LEASE = timedelta(seconds=30)
NOT_STORED = (401, 403, 429)  # the same request may succeed later, with a password or a right
STORED_HEADERS = ("Content-Type", "Location", "Retry-After")
PRUNE_INTERVAL = 3600.0  # seconds, in each process
_pruned = 0.0


def once(
    request: HttpRequest, caller: Caller, run: Callable[[], HttpResponseBase], *, outside: bool = False
) -> HttpResponseBase:
    """Run a POST, or return the answer that an equal one got. Without the header, just run it.

    `outside`: `run` waits for another system, so no transaction may be open around it.
    Raise 409 while an equal request is in progress, 422 for a key of another request.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return run()
    if not WELL_FORMED.fullmatch(key):
        raise invalid(f"/header/{HEADER}", "idempotency_key_syntax")
    _prune_if_due()
    row = _claim(caller.key, key, _fingerprint(request))
    if row.status is not None:
        return _replay(row)
    try:
        return _run_outside(row, run) if outside else _run_and_keep(row, run)
    except BaseException:
        _free(row)
        raise


def _fingerprint(request: HttpRequest) -> str:
    """Return a keyed hash of the request: bodies may hold passwords, which a plain hash would let an attacker guess."""
    path = f"{request.path.rstrip('/')}?{request.META.get('QUERY_STRING', '')}"
    content = uploads.digest(request) if request.content_type == uploads.FORM else request.body
    parts = [(request.method or "").encode(), path.encode(errors="replace"), content]
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).hexdigest()


def _claim(caller: str, key: str, fingerprint: str) -> IdempotencyKey:
    """Return the key's row: under a new lease of ours where its status is null, else with its answer."""
    for _ in range(3):  # each round, a row that was in the way has gone
        now = timezone.now()
        lease = now + LEASE
        try:
            with transaction.atomic():
                return IdempotencyKey.objects.create(caller=caller, key=key, fingerprint=fingerprint, lease=lease)
        except IntegrityError:
            row = IdempotencyKey.objects.filter(caller=caller, key=key).first()
        if row is None:
            continue
        if row.created < now - RETENTION:
            IdempotencyKey.objects.filter(pk=row.pk).delete()
            continue
        if row.fingerprint != fingerprint:
            raise refused("idempotency_key_reused", [FieldError(f"/header/{HEADER}", "idempotency_key_reused.here")])
        if row.status is not None:
            return row
        # Compare-and-set on the lease: of the requests that find an expired key, one takes it.
        if row.lease <= now and _ours(row).update(lease=lease):
            row.lease = lease
            return row
        break
    raise refused("idempotency_in_progress", headers={"Retry-After": "1"})


def _run_and_keep(row: IdempotencyKey, run: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    with transaction.atomic():
        response = run()
        done = response.status_code < 400
        if not done:
            transaction.set_rollback(True)
        elif not _keep(row, response):
            # Slower than the lease, and another request has the key: its answer counts, ours is rolled back.
            raise refused("idempotency_in_progress.overtaken")
    if not done:
        _keep(row, response)
    return response


def _run_outside(row: IdempotencyKey, run: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Run what waits for another system (an upload to the store, say) and may take any time."""
    with _LeaseRenewal(row):
        response = run()
    _keep(row, response)
    return response


class _LeaseRenewal:
    """Renews a key's lease while its request runs, so that no other request takes the key."""

    def __init__(self, row: IdempotencyKey):
        self._row, self._done = row, threading.Event()
        self._thread = threading.Thread(target=self._renew, name="idempotency", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        # The lease proves that the row is ours: wait for the last renewal before the row is used again.
        self._thread.join(LEASE.total_seconds())

    def _renew(self) -> None:
        while not self._done.wait(LEASE.total_seconds() / 3):
            try:
                lease = timezone.now() + LEASE
                if not _ours(self._row).update(lease=lease):
                    return
                self._row.lease = lease
            except Error:  # there are two more attempts before the lease expires
                continue
            finally:
                release_connection()


def _keep(row: IdempotencyKey, response: HttpResponseBase) -> bool:
    """Store the answer; return whether the key was still ours. An answer that may differ next time is not stored."""
    if response.status_code >= 500 or response.status_code in NOT_STORED or not isinstance(response, HttpResponse):
        return _free(row)
    headers = {name: response[name] for name in STORED_HEADERS if name in response}
    return bool(_ours(row).update(status=response.status_code, headers=headers, body=encrypt_bytes(response.content)))


def _free(row: IdempotencyKey) -> bool:
    return bool(_ours(row).delete()[0])


def _ours(row: IdempotencyKey) -> QuerySet[IdempotencyKey]:
    return IdempotencyKey.objects.filter(pk=row.pk, lease=row.lease, status=None)


def _replay(row: IdempotencyKey) -> HttpResponse:
    try:
        body = decrypt_bytes(bytes(row.body))
    except Undecryptable as error:
        raise refused("idempotency_lost") from error
    response = HttpResponse(body, status=row.status, headers=row.headers)
    response["Idempotency-Replayed"] = "true"
    return response


def _prune_if_due() -> None:
    global _pruned
    if time.monotonic() - _pruned > PRUNE_INTERVAL:
        _pruned = time.monotonic()
        IdempotencyKey.objects.filter(created__lt=timezone.now() - RETENTION).delete()
        throttle.prune()
