"""The mark that a host leaves in its folder on the machine: of two rows for one machine and folder the second is found.

A mark is one line, `ID-MOMENT NAME`: the row's id, the moment it was made in microseconds, by which rows of other
systems are told apart, and its name then. An operation refuses a folder with another row's mark; the host check takes
over what nobody owns any more.
"""

import re

from access.callers import Caller

from . import tenancy
from .models import Asset

_MARK = re.compile(r"(\d{1,18})-(\d{1,20}) ?(.{0,300})")


def mark_of(host: Asset) -> str:
    """The host's own mark. Pure."""
    return f"{host.pk}-{_moment(host)} {host.hostname}"


def same(one: str, other: str) -> bool:
    """Whether two marks are one host's, whatever its name was. Pure."""
    return bool(one) and one.split(" ")[0] == other.split(" ")[0]


def owner(mark: str) -> Asset | None:
    """The host that left this mark, where it is there; None for one that is archived, gone or not of this system."""
    found = _MARK.fullmatch(mark)
    row = Asset.objects.filter(pk=int(found.group(1))).first() if found else None
    return row if row is not None and found is not None and _moment(row) == int(found.group(2)) else None


def told(owner: Asset, caller: Caller) -> str:
    """The owner's name, for somebody who may see it."""
    return "another host, which you may not see" if tenancy.hidden(caller, [owner.pk]) else owner.hostname


def name_in(mark: str) -> str:
    """The name that stands in a mark, for people."""
    found = _MARK.fullmatch(mark)
    return found.group(3) if found and found.group(3) else "an unknown host"


def _moment(host: Asset) -> int:
    moment = host.created
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
