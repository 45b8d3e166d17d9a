"""Where tokens are used from: a line of the log once an hour, and a row of the history for each new place."""

import threading
import time
from collections import OrderedDict

from access.callers import Caller
from access.models import Token, TokenAddress

from . import security_log
from .client_ip import neighbourhood

LOG_INTERVAL = 3600.0  # seconds until the same token from the same place is worth a line again
MAX_ADDRESSES = 100  # of one token; what comes from more places than that is in the log only
MAX_REMEMBERED = 10_000

_noted: OrderedDict[tuple[str, str], float] = OrderedDict()  # of this process
_lock = threading.Lock()


def is_due(token: Token, address: str) -> bool:
    """Whether this use is worth a look at the rows. Asks nobody."""
    with _lock:
        last = _noted.get((token.digest, neighbourhood(address)))
    return last is None or time.monotonic() - last > LOG_INTERVAL


def record_use(token: Token, caller: Caller, agent: str) -> None:
    """Writes down where the token is used. Two statements, and three for a new place: ask `is_due` first.

    The first place of all is where the token belongs. Each later one may be somebody else's, so it is told."""
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
