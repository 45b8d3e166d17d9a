"""How long deployctl repeats a request, and how long it pauses between two."""

import time

import pytest

from deployctl import client, patience
from deployctl.patience import Patience

pytestmark = [pytest.mark.pure, pytest.mark.found("waiting")]


def test_retry_limits():
    now = time.monotonic()
    assert Patience().pause(patience.MAX_TRIES, None) is None, "without --wait there are a few tries"
    assert Patience().pause(1, None) is not None
    assert Patience(waits=True, began=now - patience.FIRST_CONTACT_TIMEOUT - 1).pause(1, None) is None, (
        "it was never there"
    )
    assert Patience(waits=True, began=now - 10**6, reached=True).pause(500, None) == patience.MAX_PAUSE
    assert Patience(waits=True, timeout=10, began=now - 11, reached=True).pause(1, 0) is None
    left = Patience(waits=True, timeout=10, began=now - 8, reached=True).pause(9, 60)
    assert left is not None and 0 < left <= 2, "no pause outlasts the timeout"
    assert Patience(waits=True, reached=True).pause(1, 10**9) == patience.MAX_RETRY_AFTER


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("9" * 40, 999999999),
    ],
)
def test_parses_retry_after(told, seconds):
    assert client._retry_after(client.Answer(503, None, b"", {"Retry-After": told})) == seconds
