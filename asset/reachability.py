"""What the last contact with hosts showed, and since when that is so. For people; nothing is decided by it."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Case, DateTimeField, F, QuerySet, TextField, Value, When
from django.db.models.functions import Now

from .models import Asset

# Of a host that was changed, and not asked since: what it once answered was said of another key, address or user.
UNKNOWN: dict[str, Any] = {"reachable": None, "reachable_since": None, "last_error": ""}


def note(hosts: QuerySet[Asset], reachable: bool, error: str = "", **more) -> None:
    """Writes it down for all of these hosts, in one statement. `more`: other fields to write with it."""
    since = Case(When(reachable=reachable, then=F("reachable_since")), default=Now(), output_field=DateTimeField())
    if reachable:
        more["last_contact"] = Now()
    hosts.update(**{"reachable": reachable, "reachable_since": since, "last_error": error[:500], **more})


def note_well(hosts: Collection[int]) -> None:
    """These hosts (ids) were logged in to, so the pinned key is what they show."""
    note(Asset.objects.filter(pk__in=hosts), True, offered_key="")


def note_each(reachable: bool, troubles: Mapping[int, str]) -> None:
    """The same for hosts by id, each with what was in the way there: one statement."""
    hosts = Asset.objects.filter(pk__in=troubles)
    if len(set(troubles.values())) <= 1:
        note(hosts, reachable, next(iter(troubles.values()), ""))
    else:
        each = [When(pk=pk, then=Value(trouble[:500])) for pk, trouble in troubles.items()]
        note(hosts, reachable, last_error=Case(*each, output_field=TextField()))


def note_keys(keys: Mapping[int, str]) -> None:
    """Keys that hosts (by id) showed and that are not the pinned ones: one statement, most often none."""
    if keys:
        each = [When(pk=pk, then=Value(key)) for pk, key in keys.items()]
        Asset.objects.filter(pk__in=keys).update(offered_key=Case(*each, output_field=TextField()))
