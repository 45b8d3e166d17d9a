"""A server that callbacks go to."""

import pytest

from tests.callbacks.receiver import Receiver


@pytest.fixture
def receiver(settings):
    settings.CALLBACK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with Receiver() as one:
        yield one
