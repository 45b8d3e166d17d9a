"""What the last contact with hosts showed, and since when that is so. For people; nothing is decided by it."""
from typing import Any

from django.db.models import Case, DateTimeField, F, QuerySet, When
from django.db.models.functions import Now

from .models import Asset

# Of a host that was changed, and not asked since. What it once answered was said of another key or address.
UNKNOWN: dict[str, Any] = {"reachable": None, "reachable_since": None, "last_error": ""}


def note(hosts: QuerySet[Asset], reachable: bool, error: str = "", **more) -> None:
    """Writes it down for all of these hosts, in one statement. `more`: other fields to write with it."""
    since = Case(When(reachable=reachable, then=F("reachable_since")), default=Now(), output_field=DateTimeField())
    if reachable:
        more["last_contact"] = Now()
    hosts.update(reachable=reachable, reachable_since=since, last_error=error[:500], **more)
