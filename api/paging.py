"""Keyset pagination: a page costs the same anywhere in a list, and no row is skipped or repeated."""

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
MAX_LIMIT = 500

Row = TypeVar("Row", bound=Model)
List = TypeVar("List", bound=ListPage)


class PageQuery(Schema):
    """The parameters of every list: `?limit=` and `?cursor=`."""

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Maximum number of rows")
    cursor: str = Field("", max_length=400, description="`next` of the previous page; empty for the first page")


Page = Annotated[PageQuery, Query()]


@dataclass(frozen=True, slots=True)
class PageRows:
    """The rows of a page, the length of the whole list, and the cursor of the next page (None: the last page)."""

    rows: list
    count: int
    next: str | None

    def answer(self, kind: type[List], serialize: Callable[[Any], Any]) -> List:
        """Return the list with each row serialized, without another validation."""
        return kind.model_construct(
            data=[serialize(row) for row in self.rows], count=self.count, next=self.next, code=0
        )


def page(query: PageQuery, rows: QuerySet, order: str = "-id") -> PageRows:
    """Return a page of `rows`, ordered by `order`: the name of a unique field, with "-" before it for descending order.

    Two statements, however many rows there are. 422 for a cursor of another list.
    """
    field = order.removeprefix("-")
    count = rows.count()
    if query.cursor:
        value = _decode(query.cursor, order)
        try:
            value = rows.model._meta.get_field(field).to_python(value)
        except Exception as error:  # each field class raises its own errors
            raise _not_a_cursor() from error
        rows = rows.filter(**{f"{field}__{'lt' if order.startswith('-') else 'gt'}": value})
    page_rows = list(rows.order_by(order)[: query.limit + 1])
    has_more = len(page_rows) > query.limit
    page_rows = page_rows[: query.limit]
    return PageRows(page_rows, count, _encode(order, getattr(page_rows[-1], field)) if has_more else None)


def page_of(query: PageQuery, items: Sequence) -> PageRows:
    """Return a page of a list in memory, by position."""
    start = 0
    if query.cursor:
        start = _decode(query.cursor, "#")
        if not isinstance(start, int) or isinstance(start, bool) or start < 0:
            raise _not_a_cursor()
    end = start + query.limit
    return PageRows(list(items[start:end]), len(items), _encode("#", end) if end < len(items) else None)


def _encode(order: str, value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([order, value]).encode()).decode().rstrip("=")


def _decode(cursor: str, order: str) -> Any:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        decoded = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True).decode())
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _not_a_cursor() from error
    ours = isinstance(decoded, list) and len(decoded) == 2 and decoded[0] == order
    if not ours or isinstance(decoded[1], bool) or not isinstance(decoded[1], (int, str)) or "\0" in str(decoded[1]):
        raise _not_a_cursor()
    if isinstance(decoded[1], int) and abs(decoded[1]) >= 2**63:
        raise _not_a_cursor()
    return decoded[1]


def _not_a_cursor() -> Problem:
    return invalid("/query/cursor", "cursor")
