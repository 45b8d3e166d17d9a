"""Rules for callbacks hold in every process, without a restart."""

import pytest

from callbacks.models import Delivery, DeliveryState
from tests.lab.network import wait_until

from .factories import create_callback, enqueue
from .receiver import Receiver

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("store")]


def test_a_running_worker_follows_the_settings(api, worker):
    worker(SWEEP_INTERVAL="1")
    with Receiver() as receiver:
        create_callback(f"http://localhost:{receiver.port}/")
        for number, allowed, state in (
            (1, ["10.0.0.0/8"], DeliveryState.FAILED),
            (2, ["127.0.0.0/8", "::1"], DeliveryState.DELIVERED),
            (3, [], DeliveryState.FAILED),
        ):
            assert api().put("/settings/", {"callbacks": {"allowed": allowed}}).status_code == 200
            enqueue(f"deployment.ended:{number}")
            newest = lambda: Delivery.objects.order_by("-pk")[0]
            wait_until(lambda newest=newest: newest().state != DeliveryState.PENDING, 15, "the delivery")
            assert newest().state == state
        assert len(receiver.got) == 1
