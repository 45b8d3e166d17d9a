"""Send the outbox: a thread in every worker process.

Several senders do no harm: each claims a delivery by one conditional UPDATE with a lease. Where a process dies while it
sends, the lease expires and another sender takes the delivery.
"""

import json
import logging
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.db.models import Case, F, Min, Q, When
from django.utils import timezone

from access.secrets import reveal
from messages import Message
from messages.rendering import english
from runtime.periodic import PeriodicThread

from . import http_client, signing
from .models import Delivery, DeliveryState

LEASE = timedelta(seconds=60)  # longer than a request can take
POLL_TIMEOUT = 300.0  # seconds after which a look at the outbox counts as hung
MAX_IN_FLIGHT = 8  # requests of one process
MAX_IN_FLIGHT_PER_SERVER = 2  # so that a dead one does not hold up the others
MAX_SERVERS = 50  # looked at in one round
RETRY_DELAYS = (5, 30, 120, 600, 1800, 3600, 7200)  # seconds; the last one again and again
SECRET_WORDS = ("auth", "token", "secret", "key", "cookie", "password")  # in names of headers
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What one request came to. `final`: a rule forbids it, so it is not tried again. `fields`: those of the row."""

    ok: bool
    final: bool
    fields: dict[str, Any]


class Sender:
    """The thread that claims deliveries, and the threads that send them."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MAX_IN_FLIGHT, thread_name_prefix="callback")
        self._free = threading.Semaphore(MAX_IN_FLIGHT)
        self._loop = PeriodicThread("callbacks", self._poll, lambda: min(1.0, settings.SWEEP_INTERVAL), POLL_TIMEOUT)

    def stop(self) -> None:
        self._loop.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _poll(self) -> None:
        for row in claim(MAX_IN_FLIGHT):
            if not self._free.acquire(timeout=LEASE.total_seconds()):  # no request takes longer
                return  # the leases expire, and the rest is claimed again
            self._pool.submit(self._attempt, row)

    def _attempt(self, row: Delivery) -> None:
        try:
            attempt(row)
        except Error as error:  # its lease expires, and it is sent again
            log.warning("the result of a callback could not be saved: %s", type(error).__name__)
        except Exception:  # the future's result is not read
            log.exception("the result of a callback could not be saved")
        finally:
            connection.close()
            self._free.release()


def claim(limit: int) -> list[Delivery]:
    """Claim deliveries that are due, a few to each server at most. Those of subscriptions come first: administrators
    made these, and whoever may start a build makes the others."""
    now = timezone.now()
    pending = Delivery.objects.filter(state=DeliveryState.PENDING, callback__active=True)
    of_request = Case(When(callback__request="", then=0), default=1)
    free = pending.filter(Q(lease=None) | Q(lease__lt=now), due__lte=now).annotate(of_request=of_request).order_by()
    servers = free.values("callback__server").annotate(kind=Min("of_request"), first=Min("due"))
    claimed: list[int] = []
    for server in [row["callback__server"] for row in servers.order_by("kind", "first")[:MAX_SERVERS]]:
        if len(claimed) == limit:
            break
        allowed = MAX_IN_FLIGHT_PER_SERVER - pending.filter(callback__server=server, lease__gte=now).count()
        due = free.filter(callback__server=server).order_by("of_request", "due").values_list("pk", flat=True)
        for pk in list(due[:allowed]) if allowed > 0 else []:
            # Of two processes that read the same row, the second one's condition no longer holds.
            if len(claimed) < limit and free.filter(pk=pk).update(lease=now + LEASE, attempts=F("attempts") + 1):
                claimed.append(pk)
    return list(Delivery.objects.select_related("callback").filter(pk__in=claimed).order_by("pk"))


def attempt(row: Delivery) -> Delivery:
    """Send a delivery once and save the result: delivered, to be retried, or given up."""
    try:
        result = send(row)
    except Exception as error:  # noqa: BLE001 - such as a secret that cannot be decrypted: it concerns this callback alone
        # Where it came from, without its text: that may quote a secret.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("unexpected error in a callback: %s\n%s", type(error).__name__, where)
        message = Message("delivery.internal_error", {"kind": type(error).__name__})
        result = Result(False, False, {**_error_fields(message), "answer_status": None, "sent": timezone.now()})
    now = timezone.now()
    retry_at = now + timedelta(seconds=RETRY_DELAYS[min(row.attempts, len(RETRY_DELAYS)) - 1])
    state, due = DeliveryState.PENDING, retry_at
    if result.ok:
        state, due = DeliveryState.DELIVERED, row.due
    elif result.final or retry_at > row.until:
        state, due = DeliveryState.FAILED, row.due
    fields = {**result.fields, "state": state, "due": due, "lease": None}
    Delivery.objects.filter(pk=row.pk).update(**fields)
    for name, value in fields.items():
        setattr(row, name, value)
    return row


def send(row: Delivery) -> Result:
    """Send one request for a delivery."""
    callback, body = row.callback, row.body.encode()
    extra = json.loads(reveal(callback.headers)) if callback.headers else {}
    signed = signing.headers(reveal(callback.secret) if callback.secret else "", row.message_id, int(time.time()), body)
    headers = {"Content-Type": "application/json", "User-Agent": "deployer", "Connection": "close", **extra, **signed}
    forbidden = False
    try:
        response = http_client.post(callback.url, headers, body)
    except http_client.AddressForbidden as error:
        forbidden, response = True, http_client.Response(None, error=error.message)
    message = response.error
    if message is None and not response.is_success:
        message = Message("delivery.status", {"status": response.status})
    fields = {
        "url": callback.url,
        "headers": redacted_headers(headers),
        "answer_status": response.status,
        "answer": response.body,
        "took": response.took,
        "sent": timezone.now(),
        **_error_fields(message),
    }
    return Result(response.is_success, forbidden, fields)


def _error_fields(message: Message | None) -> dict[str, Any]:
    if message is None:
        return {"error": "", "error_code": "", "error_params": {}}
    return {
        "error": english(message)[: Delivery._meta.get_field("error").max_length],
        "error_code": message.code,
        "error_params": message.as_json()["params"],
    }


def redacted_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return headers for people to see: values that look like secrets are replaced."""
    return {
        name: "[secret]" if any(word in name.lower() for word in SECRET_WORDS) else value
        for name, value in headers.items()
    }
