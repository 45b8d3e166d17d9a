"""Keyset pagination: the next page starts after the last row's key, so page 1,000 costs what page 1 costs.

A page that says how many rows the whole list has counts them up to a limit: a look at MAX_COUNTED index entries.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from django.db.models import QuerySet

from runtime.ids import parse_id

PAGE = 50
MAX_ROWS = 1000  # of a list that was scrolled, in one answer
MAX_COUNTED = 10_000  # rows; a list with more says so


@dataclass
class Page:
    """Some rows of a list, and the key that the next page starts after ("" on the last page).

    `every`: the whole list, which is counted where there is more than this page; None: this page is all of it.
    """

    rows: list[Any] = field(default_factory=list)
    next: str = ""
    every: QuerySet | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def count(self) -> int:
        """How many rows the whole list has; MAX_COUNTED + 1 where there are more. One query at most."""
        if self.every is None:
            return len(self.rows)
        return self.every.order_by().values("pk")[: MAX_COUNTED + 1].count()

    @cached_property
    def fingerprint(self) -> str:
        """Which rows the whole list has: a form that changes all of them brings it back. One query at most."""
        if self.every is None:
            return fingerprint(row.pk for row in self.rows)
        return fingerprint(self.every.order_by().values_list("pk", flat=True))


def fingerprint(ids: Iterable[int]) -> str:
    """Hash the ids of a list's rows, in whatever order they come."""
    return sha256(",".join(map(str, sorted(ids))).encode()).hexdigest()[:32]


def newest_first(rows: QuerySet, after: str, size: int = PAGE) -> Page:
    """Return a page by descending id. `after`: an earlier page's `next`; other text starts at the top."""
    last_id = parse_id(after)
    found = rows.filter(pk__lt=last_id) if last_id else rows
    return _cut(list(found.order_by("-pk")[: size + 1]), size, "pk", rows, is_first=not last_id)


def by_key(rows: QuerySet, key: str, after: str, size: int = PAGE) -> Page:
    """Return a page by an ascending key that is unique among the rows, such as a name; `key` is a field path."""
    found = rows.filter(**{f"{key}__gt": after}) if after else rows
    return _cut(list(found.order_by(key)[: size + 1]), size, key, rows, is_first=not after)


def _cut(found: list[Any], size: int, key: str, every: QuerySet, is_first: bool) -> Page:
    if len(found) <= size:
        return Page(found, every=None if is_first else every)
    return Page(found[:size], str(_value_at(found[size - 1], key)), every)


def _value_at(row: Any, path: str) -> Any:
    for name in path.split("__"):
        row = getattr(row, name)
    return row
