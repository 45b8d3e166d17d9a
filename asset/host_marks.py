"""The mark that a host leaves in its folder on the machine: it detects a second row for the same machine and folder.

A mark is one line, `ID-MOMENT NAME`: the row's id, when it was created in microseconds (which tells rows of other
installations apart), and its name then. An operation refuses a folder with another row's mark; the host check replaces
the mark of a host that no longer exists.
"""

import re

from access.callers import Caller
from messages import Message

from . import tenancy
from .models import Asset

_MARK = re.compile(r"(\d{1,18})-(\d{1,20}) ?(.{0,300})")


def mark_of(host: Asset) -> str:
    """Return the host's own mark. Pure."""
    return f"{host.pk}-{_moment(host)} {host.hostname}"


def same(one: str, other: str) -> bool:
    """Return whether two marks belong to one host, whatever its name was. Pure."""
    return bool(one) and one.split(" ")[0] == other.split(" ")[0]


def owner(mark: str) -> Asset | None:
    """Return the host of this mark; None where it is archived, deleted or of another installation."""
    match = _MARK.fullmatch(mark)
    row = Asset.objects.filter(pk=int(match.group(1))).first() if match else None
    return row if row is not None and match is not None and _moment(row) == int(match.group(2)) else None


def shown_name(owner: Asset, caller: Caller) -> str | Message:
    """Return the owner's name, or a message where the caller may not see the host."""
    return Message("hidden_host") if tenancy.hidden(caller, [owner.pk]) else owner.hostname


def name_in(mark: str) -> str | Message:
    """Return the host's name in a mark, or a message where there is none."""
    match = _MARK.fullmatch(mark)
    return match.group(3) if match and match.group(3) else Message("unknown_host")


def _moment(host: Asset) -> int:
    moment = host.created
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
