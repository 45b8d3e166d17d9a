"""Lists as CSV files: the rows that a page lists, all of them, sent page by page so that no list is ever in memory.

A column is named as the API names it, a status is the API's word, and a time is RFC 3339 in UTC: files are read by
programs too, and must not depend on the language of the person who downloads them.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import translation
from django.utils.text import get_valid_filename

from access import url_userinfo
from access.callers import Caller
from access.downloads import Download
from messages.rendering import ENGLISH
from microservice.output import terminal

from .queries.paging import MAX_ROWS, Page

PARAMETER = "csv"  # of a list's address; its value is the name of the table
BYTE_ORDER_MARK = "\ufeff"  # without it, spreadsheets take the file for another encoding than UTF-8
# A spreadsheet takes a cell that begins so for a formula and runs it; the wide forms too, in some languages.
FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
Pages = Callable[..., Page]  # (after=…, size=…)


@dataclass(frozen=True, slots=True)
class Table:
    """A list: its name, and how each column's value is read from a row."""

    name: str
    columns: Mapping[str, Callable[[Any], Any]]


def file(request: HttpRequest, table: Table, pages: Pages, caller: Caller, of: str = "") -> HttpResponse | None:
    """Return every row of a list as a file, or None where the request does not ask for it.

    `pages` returns the page after a key; `of`: what the list belongs to, for the file's name. The page's script never
    gets a file: its answers are shared. Raise Problem 429 where the caller has too many downloads under way.
    """
    if request.GET.get(PARAMETER) != table.name or "HX-Request" in request.headers:
        return None
    pieces = Download(_pieces(table, pages), caller.account)
    answer = StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8")
    name = get_valid_filename("-".join(filter(None, [of, table.name])))
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return cast(HttpResponse, answer)  # what views return; nothing reads the body of this one


def _pieces(table: Table, pages: Pages) -> Iterator[bytes]:
    yield (BYTE_ORDER_MARK + _lines([list(table.columns)])).encode()
    after = ""
    while True:
        with translation.override(ENGLISH):
            page = pages(after=after, size=MAX_ROWS)
            cells = [[cell(read(row)) for read in table.columns.values()] for row in page]
        yield _lines(cells).encode()
        after = page.next
        if not after:
            return


def _lines(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def cell(value: Any) -> str:
    """Return a value as the text of a cell. A text that a spreadsheet would run as a formula gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = terminal.plain(url_userinfo.hidden(_text(value)))
    return f"'{text}" if text.strip(" ")[:1] in FORMULA and text.strip(" ") else text


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(_text, value))
    return "" if value is None else str(value)
