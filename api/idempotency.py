"""Idempotency-Key: a POST that comes twice is done once and answered twice with the same bytes.

The key's row is inserted first, under a lease; the unique constraint lets one of many equal requests through. The work
and its answer are committed in one transaction, so that no crash can do the one and forget the other. Whoever died
before that leaves a key that is free again when its lease has run out.
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
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from access import throttle
from access.callers import Caller
from access.models import IdempotencyKey
from access.problems import Problem, conflict, invalid
from access.secrets import Undecryptable, seal, unseal
from runtime.db_connections import give_back

from . import uploads

HEADER = "Idempotency-Key"
WELL_FORMED = re.compile(r"[\x21-\x7e]{1,255}")
KEPT = timedelta(hours=24)
LEASE = timedelta(seconds=30)
FOR_NOW = (401, 403, 429)  # who gives their password again, or is given the right, sends the same once more
KEPT_HEADERS = ("Content-Type", "Location", "Retry-After")
PRUNE_EVERY = 3600.0  # seconds, in each process
_pruned = 0.0


def once(
    request: HttpRequest, caller: Caller, run: Callable[[], HttpResponseBase], *, outside: bool = False
) -> HttpResponseBase:
    """Runs a POST, or gives the answer that an equal one got. Without the header, it just runs.

    `outside`: `run` waits for something outside, so no transaction may be open around it.
    Raises a Problem: 409 while an equal request is being answered, 422 for a key of another request.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return run()
    if not WELL_FORMED.fullmatch(key):
        raise invalid(f"/header/{HEADER}", "must be 1 to 255 visible ASCII characters")
    _prune_now_and_then()
    row = _claim(caller.key, key, _fingerprint(request))
    if row.status is not None:
        return _replay(row)
    try:
        return _run_outside(row, run) if outside else _run_and_keep(row, run)
    except BaseException:
        _free(row)
        raise


def _fingerprint(request: HttpRequest) -> str:
    """Keyed, because bodies hold passwords now and then, which a plain hash would let somebody guess."""
    path = f"{request.path.rstrip('/')}?{request.META.get('QUERY_STRING', '')}"
    content = uploads.digest(request) if request.content_type == uploads.FORM else request.body
    parts = [(request.method or "").encode(), path.encode(errors="replace"), content]
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).hexdigest()


def _claim(caller: str, key: str, fingerprint: str) -> IdempotencyKey:
    """The key's row: ours under a new lease where its status is null, else with the answer it got."""
    for _ in range(3):  # each time round, a row that was in the way has gone
        now = timezone.now()
        lease = now + LEASE
        try:
            with transaction.atomic():
                return IdempotencyKey.objects.create(caller=caller, key=key, fingerprint=fingerprint, lease=lease)
        except IntegrityError:
            row = IdempotencyKey.objects.filter(caller=caller, key=key).first()
        if row is None:
            continue
        if row.created < now - KEPT:
            IdempotencyKey.objects.filter(pk=row.pk).delete()
            continue
        if row.fingerprint != fingerprint:
            raise invalid(
                f"/header/{HEADER}",
                "was used for another request",
                "idempotency_key_reused",
                "Use a new key for each new request.",
            )
        if row.status is not None:
            return row
        # Compare-and-set on the lease: of those who find a dead one's key, one takes it.
        if row.lease <= now and _ours(row).update(lease=lease):
            row.lease = lease
            return row
        break
    problem = conflict("idempotency_in_progress", "An equal request is being answered.", "Try again in a moment.")
    problem.headers["Retry-After"] = "1"
    raise problem


def _run_and_keep(row: IdempotencyKey, run: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    with transaction.atomic():
        response = run()
        done = response.status_code < 400
        if not done:
            transaction.set_rollback(True)
        elif not _keep(row, response):
            # Slower than the lease, and somebody else has the key: theirs is the answer that counts, ours never was.
            raise conflict("idempotency_in_progress", "An equal request has overtaken this one.", "Send it again.")
    if not done:
        _keep(row, response)
    return response


def _run_outside(row: IdempotencyKey, run: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """A package on its way to the store, or somebody else's server: how long it takes is not known beforehand."""
    with _KeptAlive(row):
        response = run()
    _keep(row, response)
    return response


class _KeptAlive:
    """Renews a key's lease while its answer is made, so that nobody takes it for a dead one's."""

    def __init__(self, row: IdempotencyKey):
        self._row, self._done = row, threading.Event()
        self._thread = threading.Thread(target=self._renew, name="idempotency", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        # Before the row is used again: the lease is what says that it is ours.
        self._thread.join(LEASE.total_seconds())

    def _renew(self) -> None:
        while not self._done.wait(LEASE.total_seconds() / 3):
            try:
                lease = timezone.now() + LEASE
                if not _ours(self._row).update(lease=lease):
                    return
                self._row.lease = lease
            except Error:  # once more in a moment; it has two more tries before the lease runs out
                continue
            finally:
                give_back()


def _keep(row: IdempotencyKey, response: HttpResponseBase) -> bool:
    """Remembers the answer; whether the key was still ours. What may go better next time is not remembered."""
    if response.status_code >= 500 or response.status_code in FOR_NOW or not isinstance(response, HttpResponse):
        return _free(row)
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    return bool(_ours(row).update(status=response.status_code, headers=headers, body=seal(response.content)))


def _free(row: IdempotencyKey) -> bool:
    return bool(_ours(row).delete()[0])


def _ours(row: IdempotencyKey):
    return IdempotencyKey.objects.filter(pk=row.pk, lease=row.lease, status=None)


def _replay(row: IdempotencyKey) -> HttpResponse:
    try:
        body = unseal(bytes(row.body))
    except Undecryptable as error:
        raise Problem(
            409,
            "idempotency_lost",
            "The answer to this key can no longer be read.",
            "Look whether it was done, and use a new key.",
        ) from error
    response = HttpResponse(body, status=row.status, headers=row.headers)
    response["Idempotency-Replayed"] = "true"
    return response


def _prune_now_and_then() -> None:
    global _pruned
    if time.monotonic() - _pruned > PRUNE_EVERY:
        _pruned = time.monotonic()
        IdempotencyKey.objects.filter(created__lt=timezone.now() - KEPT).delete()
        throttle.prune()
