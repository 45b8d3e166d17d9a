"""An operation's log: lines that load on scrolling, links to lines, and a search."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import escape
from django.utils.safestring import mark_safe
from django.utils.translation import gettext

from access.callers import Caller
from access.problems import invalid
from microservice import atoms
from microservice.models import Operation
from microservice.output import encodings, error_lines, expiry, lines, logs, searching, terminal
from runtime.ids import parse_number

from ..forms.filters import LogSearch
from ..queries import operations
from .decorators import page, query

LINES_BEFORE = 20  # above the line that a link names
LEAD, EXCERPT = 60, 180  # characters before a hit, and from it on
BYTES_AROUND = 1800  # of a long line, on either side of an offset; both fit in terminal.LINE_LIMIT


@page(live=True)
def log_page(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Show the page; for its script only the header, or only lines (`part`, with `from`, `before` or `line`)."""
    operation = operations.operation(caller, number)
    if at := _number(request, "at"):  # an offset in bytes, as steps record theirs
        line = lines.number_at(operation.pk, at)
        return redirect(f"{request.path}?line={line}#L{line}")
    if request.GET.get("part") == "lines":
        return render(request, "log/lines.html", _lines(request, operation))
    context = {"operation": operation, "deployment": operation.deployment, **_size(operation)}
    context["has_ended"] = operations.has_ended(operation)
    if request.headers.get("HX-Request"):
        return render(request, "log/head.html", context)
    params = query(request, "q", "errors")
    filters = LogSearch(params)
    context |= {**params, "filters": filters, "searches": filters.is_valid() and any(params.values())}
    return render(request, "log/page.html", context | _lines(request, operation))


@page()
def log_search(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """Count a text's occurrences and show their lines; with `errors`, the lines that look like errors."""
    operation = operations.operation(caller, number)
    params = query(request, "q", "errors")
    text = params["q"]
    if not LogSearch(params).is_valid():
        raise invalid("/q", "not_one_line")
    with searching.search_slot(caller.account) as enough:
        if text:
            sought = logs.SearchTerm(text, encodings.of_all(operation))
            result = logs.search(operation.pk, sought, 0, logs.size(operation.pk), enough=enough)
        else:
            result = error_lines.search(operation, enough) if params["errors"] else logs.SearchResult()
    hits = _hits(result, encodings.of_data(operation, b"\n".join(data for _, data in result.lines)))
    context = {
        "operation": operation,
        "q": text,
        "hits": result.hits,
        "lines": hits,
        "more": result.next_offset is not None,
        "cut": result.next_offset if result.cut else None,
        "errors": params["errors"] and not text,
        "failed_step": operation.error_step if error_lines.of_failed_step(operation) else "",
    }
    return render(request, "log/hits.html", context)


@dataclass(slots=True)
class Hit:
    """A line with an occurrence: `text` around it, and `near`: its offset, if only that part of the line is shown."""

    line: int
    text: str
    near: int | None


def _hits(result: logs.SearchResult, encoding: str) -> list[Hit]:
    """Return one hit for each line, even if a long line was searched in pieces."""
    hits: dict[int, Hit] = {}
    for ended, (offset, data), (at, before, more, shown) in zip(result.ends, result.lines, result.places, strict=True):
        place = at - offset - before  # in `data`
        lead = terminal.plain(terminal.decoded(data[:place], encoding))
        rest = terminal.plain(terminal.decoded(data[place:], encoding))
        text = ("…" if before or len(lead) > LEAD else "") + lead[-LEAD:] + rest[:EXCERPT]
        text += "…" if more or len(rest) > EXCERPT else ""
        hits.setdefault(ended + 1, Hit(ended + 1, text.replace("\n", " "), None if shown else at))
    return list(hits.values())


def _size(operation: Operation) -> dict[str, Any]:
    """Return the size of the log and what of it is no longer there."""
    size, limit = logs.size(operation.pk), atoms.output_limit(operation.deployment.spec or {})
    return {
        "size": size,
        "count": lines.count(operation.pk),
        "limit": limit if operation.output_size > limit else None,
        "expires": expiry.expires(operation),
        "expired": bool(operation.output_size and not size and operation.finished),
    }


def _lines(request: HttpRequest, operation: Operation) -> dict[str, Any]:
    """Return the requested window: around a line, from a line on, or before one; by default the end of the log."""
    ended = operations.has_ended(operation)
    line, start, before, near = (_number(request, name) for name in ("line", "from", "before", "near"))
    limit = lines.MAX_LINES
    if before:
        first, limit = max(1, before - limit), min(limit, before - 1)
    elif start or line:
        first = start or max(1, min(line, lines.count(operation.pk)) - LINES_BEFORE)
    else:
        return _window_context(operation, _last_lines(operation, ended), ended)
    window = lines.window(operation.pk, first, ended, limit) if limit else lines.Window()
    if line and window.next and window.next <= line:  # the lines above it are so long that they fill the window
        window = lines.window(operation.pk, line, ended, limit)
    context = _window_context(operation, window, ended, first, line if "near" in request.GET else 0, near)
    return context | ({"earlier": None} if start else {}) | ({"later": None, "goes_on": None} if before else {})


def _last_lines(operation: Operation, ended: bool) -> lines.Window:
    """Return the last lines: fewer if some are so long that they fill a window."""
    count, window = lines.count(operation.pk), lines.Window()
    for limit in (lines.MAX_LINES, LINES_BEFORE, 1):
        window = lines.window(operation.pk, max(1, count - limit + 1), ended, limit)
        if window.next is None:
            break
    return window


def _window_context(
    operation: Operation, window: lines.Window, ended: bool, first: int = 1, opened: int = 0, near: int = 0
) -> dict[str, Any]:
    next_line = window.lines[-1][0] + (not window.unfinished) if window.lines else first
    return {
        "operation": operation,
        "shown": _render_lines(operation, window, opened, near),
        "earlier": window.first if window.first > 1 else None,
        "later": window.next,
        "goes_on": None if window.next or ended else next_line,
    }


def _number(request: HttpRequest, name: str) -> int:
    return parse_number(request.GET.get(name, "")) or 0


def _render_lines(operation: Operation, window: lines.Window, opened: int, near: int) -> str:
    """Render lines as list items. A colour that is not reset continues in the next line, as in a terminal.

    `opened`: the line that is shown around the offset `near` with all its states, not only in its last one.
    """
    style, items = "", []
    encoding = encodings.of_data(operation, b"\n".join(data for _, data in window.lines))
    for (number, data), place in zip(window.lines, window.places, strict=True):
        line = terminal.render(data, style, encoding)
        style, html = line.style, str(line.html)
        if number == opened:
            html = _render_around(operation, number, near, encoding)
        elif not line.whole or number in window.cut:
            rewritten = b"\r" in data or (number in window.cut and len(data) < lines.MAX_LINE_BYTES)
            if rewritten and number in window.cut:
                html += f' <span class="clipped">… {escape(gettext("earlier states of this line"))}</span>'
            rest = place + (len(data) if rewritten else terminal.LINE_LIMIT)
            html += _link(number, rest, gettext("show the whole line"))
        unfinished = " data-unfinished" if window.unfinished and number == window.lines[-1][0] else ""
        items.append(f'<li id="L{number}"{unfinished}><a href="#L{number}">{number}</a><code>{html}</code></li>')
    return mark_safe("\n".join(items))  # noqa: S308  terminal.render escapes; the rest is numbers


def _render_around(operation: Operation, number: int, near: int, encoding: str) -> str:
    """Render part of one line in all its states, with links to the parts before and after it."""
    begin, end = lines.extent(operation.pk, number) or (0, 0)
    near = min(max(near, begin), end)
    start, stop = max(begin, near - BYTES_AROUND), min(end, near + BYTES_AROUND)
    part = terminal.render(b"".join(logs.read(operation.pk, start, stop)), "", encoding, frames=True).html
    before = _link(number, max(begin, start - BYTES_AROUND), gettext("before")) if start > begin else ""
    after = _link(number, min(end, stop + BYTES_AROUND), gettext("after")) if stop < end else ""
    return f"{before} {part}{after}"


def _link(number: int, near: int, text: str) -> str:
    url = f"?line={number}&amp;near={near}#L{number}"
    return f' <a href="{url}" data-line="{number}" data-near="{near}">{escape(text)}</a>'
