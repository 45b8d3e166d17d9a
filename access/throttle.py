"""Limit guesses of passwords and tokens, per account and per address, in rows that all processes share.

An attempt is counted before it is checked, by one conditional UPDATE a row, so that parallel attempts cannot slip
through; a refused attempt does not count. A successful one is subtracted again. A user who signed in before from the
same address, or with the same browser (devices.py), is not locked out by the guesses of strangers.
docs/decisions/0022-own-throttle.md says why this is not django-axes.
"""

import hashlib
import unicodedata
from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from access.models import KnownAddress, Throttle
from access.problems import refused

from .client_ip import neighbourhood

WINDOW = timedelta(minutes=5)
KNOWN_FOR = timedelta(days=90)  # how long an address or a browser stays known
SIGN_INS_OF_ACCOUNT_FROM_ADDRESS = 10
SIGN_INS_OF_ACCOUNT_WITH_DEVICE = 10
SIGN_INS_OF_ACCOUNT = 100  # from unknown addresses
SIGN_INS_FROM_ADDRESS = 50
OWN_PASSWORDS = 10
WRONG_TOKENS_FROM_ADDRESS = 100


def account_of(username: str) -> str:
    """Return one spelling for all that the sign-in form takes as the same account."""
    return unicodedata.normalize("NFKC", username.strip()[:150].casefold()).casefold().strip()


def sign_in(username: str, address: str, device: str = "") -> None:
    """Call before a password is checked. Raise 429 after too many attempts.

    `device`: the id of a browser that signed in to this account before; "" for any other.
    """
    _count(_sign_in_limits(account_of(username), address, device))


def signed_in(username: str, address: str, device: str = "") -> None:
    """Call after the right password: its attempt no longer counts, and its address is known from now on."""
    account, place = account_of(username), neighbourhood(address)
    counted = list(_sign_in_limits(account, address, device))
    Throttle.objects.filter(key=counted[0]).delete()
    Throttle.objects.filter(key__in=counted[1:], count__gt=0).update(count=F("count") - 1)
    KnownAddress.objects.bulk_create(
        [KnownAddress(key=_key("known", account, place), seen=timezone.now())],
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["seen"],
    )


def own_password(user_id: int) -> None:
    """Call before a signed-in user's password is checked again. Guesses of strangers do not count here."""
    _count({_key("own", str(user_id)): OWN_PASSWORDS})


def own_password_was_right(user_id: int) -> None:
    Throttle.objects.filter(key=_key("own", str(user_id))).delete()


def wrong_token(address: str) -> None:
    """Call for an unknown token. Valid tokens are never held up by invalid ones."""
    _count({_key("token", neighbourhood(address)): WRONG_TOKENS_FROM_ADDRESS})


def prune() -> None:
    """Delete what no longer counts."""
    Throttle.objects.filter(since__lt=timezone.now() - WINDOW).delete()
    KnownAddress.objects.filter(seen__lt=timezone.now() - KNOWN_FOR).delete()


def _sign_in_limits(account: str, address: str, device: str) -> dict[str, int]:
    """Return {key: limit} that an attempt counts for; the first is for this account from this place alone."""
    if device:
        return {_key("device", account, device): SIGN_INS_OF_ACCOUNT_WITH_DEVICE}
    place = neighbourhood(address)
    limits = {
        _key("pair", account, place): SIGN_INS_OF_ACCOUNT_FROM_ADDRESS,
        _key("address", place): SIGN_INS_FROM_ADDRESS,
    }
    known = KnownAddress.objects.filter(key=_key("known", account, place), seen__gt=timezone.now() - KNOWN_FOR)
    return limits if known.exists() else limits | {_key("account", account): SIGN_INS_OF_ACCOUNT}


def _key(kind: str, *parts: str) -> str:
    # Hashed: people sometimes type their password as the name.
    return f"{kind}:{hashlib.sha256(chr(0).join(parts).encode(errors='replace')).hexdigest()}"


def _count(limits: dict[str, int]) -> None:
    now = timezone.now()
    rows = Throttle.objects.filter(key__in=limits)
    # Read before writing: attempts that are refused anyway, for one name after the other, must not fill the table.
    if full := [row for row in rows if row.count >= limits[row.key] and row.since > now - WINDOW]:
        _refuse(full)
    Throttle.objects.bulk_create(
        [Throttle(key=key, count=0, since=now) for key in sorted(limits)], ignore_conflicts=True
    )
    rows.filter(since__lte=now - WINDOW).update(count=0, since=now)
    counted: list[str] = []
    for key, limit in limits.items():
        if not Throttle.objects.filter(key=key, count__lt=limit).update(count=F("count") + 1):
            Throttle.objects.filter(key__in=counted, count__gt=0).update(count=F("count") - 1)
            _refuse([row for row in rows if row.count >= limits[row.key]])
        counted.append(key)


def _refuse(full: list[Throttle]) -> None:
    now = timezone.now()
    seconds = max((int((row.since + WINDOW - now).total_seconds()) + 1 for row in full), default=1)
    seconds = max(1, seconds)
    raise refused("too_many_attempts", headers={"Retry-After": str(seconds)}, seconds=seconds)
