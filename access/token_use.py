"""Where tokens are used from: a log line once an hour, and a row of the history for each new address."""

import threading
import time
from collections import OrderedDict

from access.callers import Caller
from access.models import Token, TokenAddress

from . import security_log
from .client_ip import neighbourhood

LOG_INTERVAL = 3600.0  # seconds between log lines about one token from one address
MAX_ADDRESSES = 100  # of one token; further ones are only logged
MAX_REMEMBERED = 10_000

_noted: OrderedDict[tuple[str, str], float] = OrderedDict()  # of this process
_lock = threading.Lock()


def is_due(token: Token, address: str) -> bool:
    """Return whether this use needs to be recorded. Without queries."""
    with _lock:
        last = _noted.get((token.digest, neighbourhood(address)))
    return last is None or time.monotonic() - last > LOG_INTERVAL


def record_use(token: Token, caller: Caller, agent: str) -> None:
    """Record where a token is used. Two statements, three for a new address: call `is_due` first.

    The first address is taken as the token's own. A later one may be a thief's, so it goes to the history.
    """
    place = neighbourhood(caller.address)[:64]
    known = set(TokenAddress.objects.filter(token=token).values_list("address", flat=True)[:MAX_ADDRESSES])
    if place in known or len(known) >= MAX_ADDRESSES:
        security_log.log_event("token used", caller, agent=agent)
        _remember(token, place)
        return
    TokenAddress.objects.bulk_create([TokenAddress(token=token, address=place)], ignore_conflicts=True)
    if known:
        security_log.record_event(
            "token used from a new address",
            caller,
            "first_use",
            subject="token",
            subject_id=token.pk,
            subject_name=token.name,
            after={"agent": agent},
        )
    else:
        security_log.log_event("token used for the first time", caller, agent=agent)
    _remember(token, place)


def _remember(token: Token, place: str) -> None:
    with _lock:
        _noted[token.digest, place] = time.monotonic()
        _noted.move_to_end((token.digest, place))
        while len(_noted) > MAX_REMEMBERED:
            _noted.popitem(last=False)
