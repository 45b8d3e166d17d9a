"""The cookie that identifies a browser to the accounts that it signed in to before.

It grants nothing: its attempts are only counted separately (throttle.py), so that strangers who guess cannot lock the
user out. It contains no secret and no name: a random id of the browser, and a digest of each account,
of MAX_ACCOUNTS at most.
"""

import hashlib
import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from access.throttle import KNOWN_FOR, account_of

SALT = "access.devices"
MAX_ACCOUNTS = 5  # accounts of one browser


def device_of(request: HttpRequest, username: str) -> str:
    """Return the browser's id where it signed in to this account before, else ""."""
    accounts, device = _read(request)
    return device if _digest(username) in accounts else ""


def remember(request: HttpRequest, response: HttpResponse, username: str) -> None:
    """Call after a successful sign-in."""
    accounts, device = _read(request)
    digest = _digest(username)
    digests = [digest, *(one for one in accounts if one != digest)][:MAX_ACCOUNTS]
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        signing.dumps([digests, device or secrets.token_hex(16)], salt=SALT),
        max_age=KNOWN_FOR,
        httponly=True,
        secure=settings.SECURE,
        samesite="Strict",
    )


def _read(request: HttpRequest) -> tuple[list[str], str]:
    try:
        shown = request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "")
        accounts, device = signing.loads(shown, salt=SALT, max_age=KNOWN_FOR)
    except (signing.BadSignature, ValueError, TypeError):
        return [], ""
    return accounts, device


def _digest(username: str) -> str:
    return hashlib.sha256(account_of(username).encode(errors="replace")).hexdigest()[:32]
