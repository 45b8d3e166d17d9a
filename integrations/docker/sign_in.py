"""The header by which an engine gets the sign-in at a registry: with one request, and the engine keeps none of it."""

import base64
import json
from typing import Any

from access.masking import Mask
from access.secrets import Secret, reveal

AUTH, CONFIG = "X-Registry-Auth", "X-Registry-Config"  # of a push or a pull; of a build
_NOBODY = "e30="  # {}: a push without the header is refused


def header(name: str, value: Secret | None) -> dict[str, str]:
    """Return the header to send. `value`: of `integrations.images.credentials`; None signs in nowhere."""
    return {name: reveal(value) if value else _NOBODY}


def said(value: Secret | None) -> Any:
    """Return what a header's value says: {"username", "password", "serveraddress"}, or {host: that} for a build."""
    return json.loads(base64.urlsafe_b64decode(reveal(value))) if value else {}


def mask(value: Secret | None) -> Mask:
    """Return the mask of the passwords in it, which the engine's words may repeat."""
    return Mask(passwords(value))


def passwords(value: Secret | None) -> list[str]:
    """Return the passwords in it, revealed."""
    about = said(value)
    every = [about, *(each for each in about.values() if isinstance(each, dict))]
    return [each["password"] for each in every if each.get("password")]
