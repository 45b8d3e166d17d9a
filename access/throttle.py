"""Guesses are counted per account and per address, in rows that all processes share.

An attempt is counted before it is tried, so that many at once cannot slip through between the look and the count.
What succeeds is taken out of the count again.
"""
import hashlib
from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from access.address import neighbourhood
from access.models import Throttle
from access.problems import Problem

WINDOW = timedelta(minutes=5)
SIGN_INS_OF_ACCOUNT_FROM_ADDRESS = 10
SIGN_INS_OF_ACCOUNT = 100  # from anywhere; high, so that a stranger cannot lock somebody out easily
SIGN_INS_FROM_ADDRESS = 50
WRONG_TOKENS_FROM_ADDRESS = 100


def sign_in(username: str, address: str) -> None:
    """Call before a password is looked at. Raises a 429 Problem when there were too many attempts lately."""
    _count(_sign_in_limits(username, address))


def signed_in(username: str, address: str) -> None:
    """Call after the right password: what was counted for it is taken back."""
    pair, account, place = _sign_in_limits(username, address)
    Throttle.objects.filter(key=pair).delete()
    Throttle.objects.filter(key__in=[account, place], count__gt=0).update(count=F("count") - 1)


def wrong_token(address: str) -> None:
    """Call when a token was not recognised. A right token is never held up by others' wrong ones."""
    _count({_key("token", neighbourhood(address)): WRONG_TOKENS_FROM_ADDRESS})


def prune() -> None:
    """Forgets what no longer counts."""
    Throttle.objects.filter(since__lt=timezone.now() - WINDOW).delete()


def _sign_in_limits(username: str, address: str) -> dict[str, int]:
    place = neighbourhood(address)
    return {
        _key("pair", username.lower(), place): SIGN_INS_OF_ACCOUNT_FROM_ADDRESS,
        _key("account", username.lower()): SIGN_INS_OF_ACCOUNT,
        _key("address", place): SIGN_INS_FROM_ADDRESS,
    }


def _key(kind: str, *parts: str) -> str:
    # Hashed: what people type as their name may be anything, now and then their password.
    return f"{kind}:{hashlib.sha256(chr(0).join(parts).encode(errors='replace')).hexdigest()}"


def _count(limits: dict[str, int]) -> None:
    now = timezone.now()
    for key in limits:
        if not Throttle.objects.filter(key=key, since__gt=now - WINDOW).update(count=F("count") + 1):
            Throttle.objects.bulk_create(
                [Throttle(key=key, count=1, since=now)],
                update_conflicts=True, unique_fields=["key"], update_fields=["count", "since"],
            )
    full = [row for row in Throttle.objects.filter(key__in=limits) if row.count > limits[row.key]]
    if full:
        seconds = max(int((row.since + WINDOW - now).total_seconds()) + 1 for row in full)
        raise Problem(429, "too_many_attempts", "There were too many attempts lately.",
                      f"Wait {seconds} seconds and try again.", headers={"Retry-After": str(max(1, seconds))})
