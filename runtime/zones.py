"""Time zones by their names in the IANA database."""

import re
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UTC_ZONE = ZoneInfo("UTC")
_NAME = re.compile(r"[A-Za-z]{1,20}(?:/[A-Za-z0-9_+-]{1,30}){0,2}")


@lru_cache(maxsize=128)
def known(name: str) -> ZoneInfo | None:
    """Return the zone of that name, or None if this machine does not know it."""
    if not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory of zones, such as “America”
        return None
