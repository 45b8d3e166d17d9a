"""Sends what lies in the outbox: a thread in every worker process. Any number of them do no harm, because each takes a
delivery by one conditional update with a lease; a process that dies in the middle leaves it to the next."""

import json
import logging
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.conf import settings
from django.db import Error, connection
from django.db.models import F, Q
from django.utils import timezone

from access.secrets import reveal
from runtime.periodic import Loop

from . import http_client, signing
from .models import Delivery, State

LEASE = timedelta(seconds=60)  # longer than a request can take
LONGEST_LOOK = 300.0  # seconds after which a look at the outbox hangs
AT_ONCE = 8  # requests of one process
OF_ONE = 2  # of them to one callback, so that a dead address does not hold up the others
PAUSES = (5, 30, 120, 600, 1800, 3600, 7200)  # seconds before the next attempt; the last one again and again
SECRET_LIKE = ("auth", "token", "secret", "key", "cookie", "password")
log = logging.getLogger(__name__)


class Sender:
    """The thread that looks, and the threads that send."""

    def __init__(self) -> None:
        self._hands = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="callback")
        self._free = threading.Semaphore(AT_ONCE)
        self._loop = Loop("callbacks", self._look, lambda: min(1.0, settings.SWEEP_INTERVAL), LONGEST_LOOK)

    def stop(self) -> None:
        self._loop.stop()
        self._hands.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> None:
        for row in claim(AT_ONCE):
            if not self._free.acquire(timeout=LEASE.total_seconds()):  # nothing that is sent takes longer
                return  # leases run out, and the rest is sent again
            self._hands.submit(self._one, row)

    def _one(self, row: Delivery) -> None:
        try:
            attempt(row)
        except Error as error:  # its lease runs out, and it is sent again
            log.warning("what came of a callback could not be written: %s", type(error).__name__)
        except Exception:  # nobody asks what became of this call
            log.exception("what came of a callback could not be written")
        finally:
            connection.close()
            self._free.release()


def claim(most: int) -> list[Delivery]:
    """Deliveries that are due and now the caller's to send, a few of each callback at most."""
    now = timezone.now()
    pending = Delivery.objects.filter(state=State.PENDING, callback__active=True)
    free = pending.filter(Q(lease=None) | Q(lease__lt=now), due__lte=now).order_by()
    taken: list[int] = []
    for callback in list(free.values_list("callback", flat=True).distinct()[:50]):
        busy = pending.filter(callback=callback, lease__gte=now).count()
        for number in list(
            free.filter(callback=callback).order_by("due").values_list("pk", flat=True)[: OF_ONE - busy]
            if busy < OF_ONE
            else []
        ):
            # Of two processes that saw the same row, the second one's condition does not hold any more.
            if len(taken) < most and free.filter(pk=number).update(lease=now + LEASE, attempts=F("attempts") + 1):
                taken.append(number)
    return list(Delivery.objects.select_related("callback").filter(pk__in=taken).order_by("pk"))


def attempt(row: Delivery) -> Delivery:
    """Sends a delivery once and writes what came of it: delivered, later again, or given up."""
    try:
        seen = send(row)
    except Exception as error:  # noqa: BLE001 - such as a secret that nobody can read: this callback's trouble alone
        # Where it came from, and not its text: that may quote a secret.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("a callback met an error that nobody foresaw: %s\n%s", type(error).__name__, where)
        said = f"It could not be sent: {type(error).__name__}"
        fields = {"error": said, "answer_status": None, "sent": timezone.now()}
        seen = {"good": False, "refused": False, "fields": fields}
    now = timezone.now()
    if seen["good"]:
        state, due = State.DELIVERED, row.due
    elif seen["refused"] or (due := now + timedelta(seconds=PAUSES[min(row.attempts, len(PAUSES)) - 1])) > row.until:
        state, due = State.FAILED, row.due
    else:
        state = State.PENDING
    written = {**seen["fields"], "state": state, "due": due, "lease": None}
    Delivery.objects.filter(pk=row.pk).update(**written)
    for name, value in written.items():
        setattr(row, name, value)
    return row


def send(row: Delivery) -> dict:
    """One request for a delivery. {"good", "refused", "fields": what a row keeps of both sides}."""
    callback, body = row.callback, row.body.encode()
    extra = json.loads(reveal(callback.headers)) if callback.headers else {}
    signed = signing.headers(reveal(callback.secret), row.message_id, int(time.time()), body)
    headers = {"Content-Type": "application/json", "User-Agent": "deployer", "Connection": "close", **extra, **signed}
    refused = False
    try:
        answer = http_client.post(callback.url, headers, body)
    except http_client.Refused as error:
        refused, answer = True, http_client.Answer(None, error=str(error))
    fields = {
        "url": callback.url,
        "headers": shown(headers),
        "answer_status": answer.status,
        "answer": answer.body,
        "error": answer.error or ("" if answer.is_good else f"answered {answer.status}"),
        "took": answer.took,
        "sent": timezone.now(),
    }
    return {"good": answer.is_good, "refused": refused, "fields": fields}


def shown(headers: dict[str, str]) -> dict[str, str]:
    """Headers as people may see them: what looks like a secret is not kept."""
    return {
        name: "[secret]" if any(word in name.lower() for word in SECRET_LIKE) else value
        for name, value in headers.items()
    }
