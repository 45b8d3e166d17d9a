"""What an operation printed, by lines: a window that grows as it is scrolled, links to lines, and a search."""

from dataclasses import dataclass

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

from ..queries import deployments
from .decorators import page, query

BEFORE = 20  # lines above the one that a link means
LONGEST_SEARCH = 200
LEAD, EXCERPT = 60, 180  # characters before a hit, and from it on
AROUND = 1800  # bytes of a long line on either side of a place in it: both together fit in terminal.LINE_LIMIT


@page(live=True)
def page_of_log(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """The page; for its script only the head, or (`from`, `before` or `line` with `part`) only lines."""
    found = deployments.operation(caller, number)
    if at := _number(request, "at"):  # a place in bytes, as the steps know theirs
        line = lines.number_at(found.pk, at)
        return redirect(f"{request.path}?line={line}#L{line}")
    if request.GET.get("part") == "lines":
        return render(request, "log/lines.html", _lines(request, found))
    context = {"operation": found, "deployment": found.deployment, **_about(found)}
    context["has_ended"] = deployments.has_ended(found)
    if request.headers.get("HX-Request"):
        return render(request, "log/head.html", context)
    asked = query(request, "q", "errors")
    return render(request, "log/page.html", {**asked, **context, **_lines(request, found)})


@page()
def search(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """How often a text occurs, and the lines where; or, with `errors`, what speaks of trouble."""
    found = deployments.operation(caller, number)
    asked = query(request, "q", "errors")
    text = asked["q"][:LONGEST_SEARCH]
    if any(ord(character) < 32 for character in text):
        raise invalid("/q", "must be a part of one line, without control characters")
    with searching.search_slot(caller.account) as enough:
        if text:
            sought = logs.Sought(text, encodings.of_all(found))
            met = logs.search(found.pk, sought, 0, logs.size(found.pk), enough=enough)
        else:
            met = error_lines.search(found, enough) if asked["errors"] else logs.Found()
    hits = _hits(met, encodings.of_data(found, b"\n".join(data for _, data in met.lines)))
    context = {"operation": found, "q": text, "hits": met.hits, "lines": hits, "more": met.next_offset is not None}
    context["cut"] = met.next_offset if met.cut else None
    context["errors"] = asked["errors"] and not text
    context["failed_step"] = found.error_step if error_lines.of_failed_step(found) else ""
    return render(request, "log/hits.html", context)


@dataclass(slots=True)
class Hit:
    """A line with an occurrence: `text` is what stands around it; `near` its offset where the page shows it only so."""

    line: int
    text: str
    near: int | None


def _hits(met: logs.Found, encoding: str) -> list[Hit]:
    """One for each line, also where a long one was searched in pieces."""
    found: dict[int, Hit] = {}
    for ended, (offset, data), (at, before, more, shown) in zip(met.ends, met.lines, met.places, strict=True):
        place = at - offset - before  # in `data`
        lead = terminal.plain(terminal.decoded(data[:place], encoding))
        rest = terminal.plain(terminal.decoded(data[place:], encoding))
        text = ("…" if before or len(lead) > LEAD else "") + lead[-LEAD:] + rest[:EXCERPT]
        text += "…" if more or len(rest) > EXCERPT else ""
        found.setdefault(ended + 1, Hit(ended + 1, text.replace("\n", " "), None if shown else at))
    return list(found.values())


def _about(of: Operation) -> dict:
    """How long it is, and what of it is not there any more."""
    size, limit = logs.size(of.pk), atoms.output_limit(of.deployment.spec or {})
    return {
        "size": size,
        "count": lines.count(of.pk),
        "limit": limit if of.output_size > limit else None,
        "expires": expiry.expires(of),
        "expired": bool(of.output_size and not size and of.finished),
    }


def _lines(request: HttpRequest, of: Operation) -> dict:
    """The window that was asked for: around a line, from one on, or before one; without a word, the end."""
    ended = deployments.has_ended(of)
    line, start, before, near = (_number(request, name) for name in ("line", "from", "before", "near"))
    most = lines.AT_ONCE
    if before:
        first, most = max(1, before - most), min(most, before - 1)
    elif start or line:
        first = start or max(1, min(line, lines.count(of.pk)) - BEFORE)
    else:
        return _shown(of, _last_lines(of, ended), ended)
    found = lines.window(of.pk, first, ended, most) if most else lines.Window()
    if line and found.next and found.next <= line:  # what stands above it is so long that it fills the window
        found = lines.window(of.pk, line, ended, most)
    shown = _shown(of, found, ended, first, line if "near" in request.GET else 0, near)
    return shown | ({"earlier": None} if start else {}) | ({"later": None, "goes_on": None} if before else {})


def _last_lines(of: Operation, ended: bool) -> lines.Window:
    """The end: fewer lines where some are so long that they fill a window."""
    count, found = lines.count(of.pk), lines.Window()
    for most in (lines.AT_ONCE, BEFORE, 1):
        found = lines.window(of.pk, max(1, count - most + 1), ended, most)
        if found.next is None:
            break
    return found


def _shown(of: Operation, found: lines.Window, ended: bool, first: int = 1, opened: int = 0, near: int = 0) -> dict:
    behind = found.lines[-1][0] + (not found.unfinished) if found.lines else first
    return {
        "operation": of,
        "shown": _rendered(of, found, opened, near),
        "earlier": found.first if found.first > 1 else None,
        "later": found.next,
        "goes_on": None if found.next or ended else behind,
    }


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _rendered(of: Operation, window: lines.Window, opened: int, near: int) -> str:
    """The lines as list items. A colour that is not ended goes on in the next line, as in a terminal. `opened`: the
    line that is shown around the offset `near` as it came, not only as it is in the end."""
    style, parts = "", []
    encoding = encodings.of_data(of, b"\n".join(data for _, data in window.lines))
    for (number, data), place in zip(window.lines, window.places, strict=True):
        line = terminal.render(data, style, encoding)
        style, shown = line.style, str(line.html)
        if number == opened:
            shown = _around(of, number, near, encoding)
        elif not line.whole or number in window.cut:
            rewritten = b"\r" in data or (number in window.cut and len(data) < lines.SHOWN)
            if rewritten and number in window.cut:
                shown += f' <span class="clipped">… {escape(gettext("earlier states of this line"))}</span>'
            rest = place + (len(data) if rewritten else terminal.LINE_LIMIT)
            shown += _link(number, rest, gettext("show all of it"))
        growing = " data-unfinished" if window.unfinished and number == window.lines[-1][0] else ""
        parts.append(f'<li id="L{number}"{growing}><a href="#L{number}">{number}</a><code>{shown}</code></li>')
    return mark_safe("\n".join(parts))  # noqa: S308  terminal.render escapes; the rest is numbers


def _around(of: Operation, number: int, near: int, encoding: str) -> str:
    """A part of one line, every frame of it, with links to what stands before and behind it."""
    begin, end = lines.extent(of.pk, number) or (0, 0)
    near = min(max(near, begin), end)
    start, stop = max(begin, near - AROUND), min(end, near + AROUND)
    part = terminal.render(b"".join(logs.read(of.pk, start, stop)), "", encoding, frames=True).html
    before = _link(number, max(begin, start - AROUND), gettext("what comes before")) if start > begin else ""
    behind = _link(number, min(end, stop + AROUND), gettext("what follows")) if stop < end else ""
    return f"{before} {part}{behind}"


def _link(number: int, near: int, text: str) -> str:
    where = f"?line={number}&amp;near={near}#L{number}"
    return f' <a href="{where}" data-line="{number}" data-near="{near}">{escape(text)}</a>'
