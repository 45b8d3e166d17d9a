"""Send a callback's messages again on request: a test at once, or an earlier delivery. Refusals are Problems."""

import uuid

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from access.callers import Caller
from access.problems import refused
from audit.history import record

from . import outbox, sender
from .models import Callback, Delivery, DeliveryState


def send_test(callback: Callback) -> Delivery:
    """Send the newest message again, now, and return the delivery with request and answer.

    Without an earlier message, one that says that it is a test. It is a delivery of its own, sent once: the attempts
    and the state of the message that it repeats stay as they are.
    """
    newest = callback.deliveries.exclude(name__startswith="test:").first()
    now = timezone.now()
    row = Delivery.objects.create(
        callback=callback,
        event=newest.event if newest else "test",
        name=f"test:{uuid.uuid4().hex}",
        body=newest.body if newest else outbox.message_body("test", now, {"test": True}),
        message_id=newest.message_id if newest else f"msg_{uuid.uuid4().hex}",
        until=now,
        lease=now + sender.LEASE,
        attempts=1,
    )
    return sender.attempt(row)


@transaction.atomic
def redeliver(caller: Caller, row: Delivery) -> Delivery:
    """Queue a delivery again, for another day. Raise 409 where it is being sent at this moment."""
    now = timezone.now()
    expires = now + outbox.DELIVERY_TTL
    ended = Delivery.objects.filter(pk=row.pk).exclude(state=DeliveryState.PENDING)
    waiting = Delivery.objects.filter(Q(lease=None) | Q(lease__lt=now), pk=row.pk, state=DeliveryState.PENDING)
    queued = ended.update(state=DeliveryState.PENDING, due=now, lease=None, until=expires, attempts=0)
    if not queued and not waiting.update(due=now, until=expires):
        raise refused("delivery_in_progress")
    record(caller, "redeliver", "callback", row.callback, after={"delivery": row.pk})
    row.refresh_from_db()
    return row
