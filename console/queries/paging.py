"""Lists by keyset: the next page starts after the last row's key, so page 1,000 costs what page 1 costs."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

PAGE = 50
MOST = 1000  # rows that a page which was scrolled so far is given at once


@dataclass(slots=True)
class Page:
    """Some rows of a list, and the key after which the next ones come ("" where these were the last)."""

    rows: list = field(default_factory=list)
    next: str = ""

    def __iter__(self):
        return iter(self.rows)

    def __len__(self):
        return len(self.rows)


def newest_first(rows: QuerySet, after: str, size: int = PAGE) -> Page:
    """By falling id. `after` is what an earlier page gave as `next`; anything that is no number starts at the top."""
    if after.isascii() and after.isdigit() and len(after) < 19:
        rows = rows.filter(pk__lt=int(after))
    return _cut(list(rows.order_by("-pk")[: size + 1]), size, "pk")


def by_key(rows: QuerySet, key: str, after: str, size: int = PAGE) -> Page:
    """By a rising key that is unique among the rows, such as a name; `key` is a field's path."""
    if after:
        rows = rows.filter(**{f"{key}__gt": after})
    return _cut(list(rows.order_by(key)[: size + 1]), size, key)


def _cut(rows: list, size: int, key: str) -> Page:
    if len(rows) <= size:
        return Page(rows)
    return Page(rows[:size], str(_follow(rows[size - 1], key)))


def _follow(row: Any, path: str) -> Any:
    for name in path.split("__"):
        row = getattr(row, name)
    return row
