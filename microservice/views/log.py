"""What an operation printed, by lines: a window that grows as it is scrolled, links to lines, and a search."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe

from access.callers import Caller
from access.problems import invalid
from microservice import atoms
from microservice.models import Operation
from microservice.output import expiry, lines, logs, searching, terminal, troubles
from microservice.queries import runs

from .guard import page, wanted

BEFORE = 20  # lines above the one that a link means
LONGEST_SEARCH = 200


@page(live=True)
def page_of_log(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """The page; for its script only the head, or (`from`, `before` or `line` with `part`) only lines."""
    found = runs.operation(caller, number)
    if at := _number(request, "at"):  # a place in bytes, as the steps know theirs
        line = lines.number_at(found.pk, at)
        return redirect(f"{request.path}?line={line}#L{line}")
    if request.GET.get("part") == "lines":
        return render(request, "log/lines.html", _lines(request, found))
    context = {"operation": found, "deployment": found.deployment, **_about(found)}
    context["has_ended"] = runs.has_ended(found)
    if request.headers.get("HX-Request"):
        return render(request, "log/head.html", context)
    asked = wanted(request, "q", "errors")
    return render(request, "log/page.html", {**asked, **context, **_lines(request, found)})


@page()
def search(request: HttpRequest, caller: Caller, number: int) -> HttpResponse:
    """How often a text occurs, and the lines where; or, with `errors`, what speaks of trouble."""
    found = runs.operation(caller, number)
    asked = wanted(request, "q", "errors")
    text = asked["q"][:LONGEST_SEARCH]
    if any(ord(character) < 32 for character in text):
        raise invalid("/q", "must be a part of one line, without control characters")
    with searching.turn(caller.account) as enough:
        if text:
            met = logs.search(found.pk, text, 0, logs.size(found.pk), enough=enough)
        else:
            met = troubles.search(found, enough) if asked["errors"] else logs.Found()
    rows = dict(zip((ended + 1 for ended in met.ends), (data for _, data in met.lines), strict=True))
    hits = [(line, terminal.plain(data.decode("utf-8", "replace"))[:200]) for line, data in rows.items()]
    context = {"operation": found, "q": text, "hits": met.hits, "lines": hits, "more": met.next_offset is not None}
    context["cut"] = met.next_offset if met.cut else None
    context["errors"] = asked["errors"] and not text
    context["failed_step"] = found.error_step if troubles.of_failed_step(found) else ""
    return render(request, "log/hits.html", context)


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
    ended = runs.has_ended(of)
    line, start, before = (_number(request, name) for name in ("line", "from", "before"))
    most = lines.AT_ONCE
    if before:
        first, most = max(1, before - most), min(most, before - 1)
    elif start or line:
        first = start or max(1, min(line, lines.count(of.pk)) - BEFORE)
    else:
        first = max(1, lines.count(of.pk) - most + 1)
    found = lines.window(of.pk, first, ended, most) if most else lines.Window()
    if line and found.next and found.next <= line:  # what stands above it is so long that it fills the window
        found = lines.window(of.pk, line, ended, most)
    behind = found.lines[-1][0] + 1 if found.lines else first
    return {
        "operation": of,
        "shown": _rendered(found),
        "earlier": found.first if found.first > 1 and not start else None,
        "later": None if before else found.next,
        "goes_on": None if before or found.next or ended else behind,
    }


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _rendered(window: lines.Window) -> str:
    """The lines as list items. A colour that is not ended goes on in the next line, as in a terminal."""
    style, parts = "", []
    for number, data in window.lines:
        line = terminal.render(data, style)
        style = line.style
        parts.append(f'<li id="L{number}"><a href="#L{number}">{number}</a><code>{line.html}</code></li>')
    return mark_safe("\n".join(parts))  # noqa: S308  terminal.render escapes; the rest is numbers
