"""Lists in pages by keyset: a page costs the same at the end of a list as at its start, and never skips or doubles."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from ninja import Field, Query, Schema

from access.problems import Problem, invalid

from .schemas.base import ListPage

DEFAULT_LIMIT = 50
MOST = 500

Row = TypeVar("Row", bound=Model)


class PageQuery(Schema):
    """`?limit=` and `?cursor=` of every list."""

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MOST, description="How many rows at most")
    cursor: str = Field("", max_length=400, description="`next` of the page before; empty for the first")


Page = Annotated[PageQuery, Query()]


@dataclass(frozen=True, slots=True)
class Found:
    """A page: its rows, how many rows the whole list has, and where the next page starts (None: this is the last)."""

    rows: list
    count: int
    next: str | None

    def answer(self, kind: type[ListPage], form: Callable[[Any], Any]) -> ListPage:
        """The list as api.md gives it, each row formed by `form`. What we formed ourselves is not validated again."""
        return kind.model_construct(data=[form(row) for row in self.rows], count=self.count, next=self.next, code=0)


def page(query: PageQuery, rows: QuerySet, order: str = "-id") -> Found:
    """One page of `rows`, ordered by `order`: a unique field's name, with "-" before it for the largest first.

    Two statements, however many rows there are. Raises a 422 Problem for a cursor that is not this list's.
    """
    field = order.removeprefix("-")
    count = rows.count()
    if query.cursor:
        value = _decode(query.cursor, order)
        try:
            value = rows.model._meta.get_field(field).to_python(value)
        except Exception as error:  # each kind of field has its own way to refuse a value
            raise _not_a_cursor() from error
        rows = rows.filter(**{f"{field}__{'lt' if order.startswith('-') else 'gt'}": value})
    found = list(rows.order_by(order)[: query.limit + 1])
    more = len(found) > query.limit
    found = found[: query.limit]
    return Found(found, count, _encode(order, getattr(found[-1], field)) if more else None)


def page_of(query: PageQuery, items: Sequence) -> Found:
    """The same for a list that is in memory already, by position."""
    start = 0
    if query.cursor:
        start = _decode(query.cursor, "#")
        if not isinstance(start, int) or isinstance(start, bool) or start < 0:
            raise _not_a_cursor()
    end = start + query.limit
    return Found(list(items[start:end]), len(items), _encode("#", end) if end < len(items) else None)


def _encode(order: str, value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([order, value]).encode()).decode().rstrip("=")


def _decode(cursor: str, order: str) -> Any:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True).decode())
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _not_a_cursor() from error
    ours = isinstance(found, list) and len(found) == 2 and found[0] == order
    if not ours or isinstance(found[1], bool) or not isinstance(found[1], (int, str)) or "\0" in str(found[1]):
        raise _not_a_cursor()
    if isinstance(found[1], int) and abs(found[1]) >= 2**63:
        raise _not_a_cursor()
    return found[1]


def _not_a_cursor() -> Problem:
    return invalid("/query/cursor", "is no cursor of this list", hint="Take `next` of the page before.")
