"""Keyset pagination: the next page starts after the last row's key, so page 1,000 costs what page 1 costs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from runtime.ids import parse_id

PAGE = 50
MAX_ROWS = 1000  # of a list that was scrolled, in one answer


@dataclass(slots=True)
class Page:
    """Some rows of a list, and the key that the next page starts after ("" on the last page)."""

    rows: list[Any] = field(default_factory=list)
    next: str = ""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def newest_first(rows: QuerySet, after: str, size: int = PAGE) -> Page:
    """Return a page by descending id. `after`: an earlier page's `next`; other text starts at the top."""
    if last_id := parse_id(after):
        rows = rows.filter(pk__lt=last_id)
    return _cut(list(rows.order_by("-pk")[: size + 1]), size, "pk")


def by_key(rows: QuerySet, key: str, after: str, size: int = PAGE) -> Page:
    """Return a page by an ascending key that is unique among the rows, such as a name; `key` is a field path."""
    if after:
        rows = rows.filter(**{f"{key}__gt": after})
    return _cut(list(rows.order_by(key)[: size + 1]), size, key)


def _cut(rows: list[Any], size: int, key: str) -> Page:
    if len(rows) <= size:
        return Page(rows)
    return Page(rows[:size], str(_value_at(rows[size - 1], key)))


def _value_at(row: Any, path: str) -> Any:
    for name in path.split("__"):
        row = getattr(row, name)
    return row
