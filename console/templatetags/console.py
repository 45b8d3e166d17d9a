"""Tags and filters of all templates: statuses, glyphs, times, form controls. A status looks the same everywhere."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django import template
from django.forms import BoundField
from django.template import Context
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, pgettext

from access import url_userinfo
from integrations import registry
from integrations.images.pages import ImagePages
from messages import rendering
from microservice.models import MicroService, Operation
from microservice.operation_errors import error_of, reason_of, undo_reason_of
from microservice.output import terminal
from microservice.packages import images
from microservice.status import Outcome, outcome_of

from .. import copying, favourites, language, times
from ..looks import LOOKS
from ..returning import this_page
from ..theme import theme_of

MAX_BATCH_SIZES = 12  # shown in a plan
UNLINKED = (
    "after",
    "rows",
    "seen",
    favourites.PARAMETER,
    "csv",
    "personal",
)  # parameters of this page that no link keeps
register = template.Library()
register.simple_tag(copying.button, name="copy")
register.simple_tag(copying.link, name="copy_link")
register.simple_tag(times.when)
register.simple_tag(times.clock)
register.simple_tag(times.zone)
register.simple_tag(times.took)
register.filter("own_time", times.own_time)
register.filter("undo_time", times.undo_time)
register.filter("term", rendering.term)
register.filter("message", lambda message: rendering.render(message) if message else "")
register.filter("operation_error", lambda row: rendering.render(error) if (error := error_of(row)) else "")
register.filter("step_reason", lambda row: rendering.render(reason) if (reason := reason_of(row)) else "")
register.filter("undo_reason", lambda row: rendering.render(reason) if (reason := undo_reason_of(row)) else "")
register.filter("short_digest", images.short_digest)
register.filter("terms", lambda words: [rendering.term(one) for one in words])


@register.simple_tag
@lru_cache(maxsize=256)  # a page of a hundred hosts shows a thousand of them
def glyph(name: str, spin: bool = False) -> SafeString:
    """Render a symbol of glyphs.svg. It is decorative: a word always accompanies it."""
    return format_html(
        '<svg class="glyph{}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        " spin" if spin else "",
        static("glyphs.svg"),
        name,
    )


@register.simple_tag
def status(value: Any, kind: str) -> SafeString:
    """Render a status as glyph, word and colour. `kind`: a key of LOOKS."""
    return _status(value, kind, get_language())


@lru_cache(maxsize=256)
def _status(value: Any, kind: str, _language: str | None) -> SafeString:
    words, looks = LOOKS[kind]
    member = words(value)
    tone, picture = looks[member]
    return format_html(
        '<span class="status tone-{}">{}{}</span>',
        tone,
        glyph(picture, spin=picture == "run"),
        rendering.term(member.name.lower()),
    )


@register.filter
def outcome(operation: Operation) -> Outcome:
    return outcome_of(operation.status, operation.undo_status)


@register.simple_tag
def name(text: object, *url: object, kind: str = "") -> SafeString:
    """Render a name in a list: on one line, however long, with the whole as its title and a button that copies it.

    `url`: where it leads, in parts that are joined. `kind`: a class of its text, such as mono.
    """
    words = terminal.plain("" if text is None else str(text))
    if not words:
        return SafeString()
    of_kind = format_html(' class="{}"', kind) if kind else ""
    if url:
        shown = format_html('<a href="{}" title="{}"{}>{}</a>', "".join(map(str, url)), words, of_kind, words)
    else:
        shown = format_html('<span title="{}"{}>{}</span>', words, of_kind, words)
    return format_html('<span class="name">{}{}</span>', shown, copying.button(words))


@register.simple_tag(takes_context=True)
def star(context: Context, service: MicroService) -> SafeString:
    """Render the button by which a person makes a service a favourite. Its form is in base.html."""
    is_on = service.pk in favourites.ids_of(context["request"])
    return format_html(
        '<button class="star" form="stars" formaction="{}" name="on" value="{}" aria-pressed="{}" aria-label="{}">{}'
        "</button>",
        reverse("console:favourite", args=[service.name]),
        "0" if is_on else "1",
        "true" if is_on else "false",
        gettext("Favourite"),
        glyph("star"),
    )


@register.simple_tag(takes_context=True)
def favourite_ids(context: Context) -> str:
    """Return the ids of the favourites that the page shows, for its live fragments."""
    return ",".join(map(str, favourites.ids_of(context["request"])))


@register.simple_tag(takes_context=True)
def theme(context: Context) -> str:
    """Return the theme of the page, a value of Theme. At most one query."""
    return context.get("theme") or theme_of(context.get("request"))


@register.inclusion_tag("display.html", takes_context=True)
def display_menu(context: Context) -> dict[str, Any]:
    """Render the choices of theme and language. Both return to this page."""
    request = context["request"]
    return {
        "themes": [
            ("system", "screen", pgettext("theme", "System")),
            ("light", "sun", pgettext("theme", "Light")),
            ("dark", "moon", pgettext("theme", "Dark")),
        ],
        "back": this_page(request),
        **{name: context.get(name) for name in ("theme", "csrf_token", "LANGUAGES", "LANGUAGE_CODE")},
    }


@register.simple_tag
def tab_icon(tone: str = "") -> str:
    """Return the URL of the tab's icon. `tone`: how what the page shows goes (views/tab.py)."""
    return static(f"favicon-{tone}.svg" if tone else "favicon.svg")


@register.simple_tag
def mark(tone: str, picture: str, word: str) -> SafeString:
    """Render other conditions in the same style: a lock, maintenance, reachable."""
    return format_html('<span class="status tone-{}">{}{}</span>', tone, glyph(picture), word)


@register.inclusion_tag("service/image.html", takes_context=True)
def image(context: Context, pinned: str, tag: str = "") -> dict[str, str]:
    """Render an image by its tag and the beginning of its digest, with its page and a button that copies it.

    `pinned`: host/name@sha256:…. The settings of its page are read once for each request.
    """
    request = context["request"]
    pages = vars(request).setdefault("image_pages", ImagePages())
    return {"pinned": pinned, "tag": tag, "short": images.short_digest(pinned), "page": pages.of(pinned)}


@register.filter
def tone(value: Any, kind: str) -> str:
    words, looks = LOOKS[kind]
    return looks[words(value)][0]


@register.filter
def word(value: Any, kind: str) -> str:
    return LOOKS[kind][0](value).label.replace("_", " ")


@register.filter
def reasons(controls: Iterable[Any]) -> list[tuple[list[str], str]]:
    """Return why buttons are disabled: each reason once, with the labels of its buttons."""
    by_reason: dict[str, list[str]] = {}
    for control in controls:
        if control.why_not:
            by_reason.setdefault(control.why_not, []).append(control.word)
    return [(words, reason) for reason, words in by_reason.items()]


@register.filter
def plain(text: str) -> str:
    """Remove characters that could reorder or hide a host's text."""
    return terminal.plain(text or "")


@register.filter
def without_user(text: str) -> str:
    """Remove users and passwords from URLs in a text; old rows may contain them."""
    return url_userinfo.hidden(text or "")


@register.simple_tag
def script_words() -> str:
    """Return the URL of the translations for the page's scripts."""
    return reverse("console:script_words", args=[get_language(), language.catalogue_version()])


@register.simple_tag(takes_context=True)
def link(context: Context, **changes: object) -> str:
    """Return this page's URL with changed query parameters and without cursor; an empty value removes a parameter."""
    query = {name: value for name, value in context["request"].GET.items() if name not in UNLINKED}
    query.update(changes)
    kept = {name: value for name, value in query.items() if value not in ("", None)}
    return "?" + urlencode(kept)


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """Render a form field's control, linked to its descriptions for screen readers: its own, its hint, its error."""
    described = field.field.widget.attrs.get("aria-describedby", "").split()
    if field.help_text:
        described.append(f"{field.auto_id}-hint")
    attributes: dict[str, str | bool] = {}
    if field.errors:
        described.append(f"{field.auto_id}-wrong")
        attributes["aria-invalid"] = "true"
    if described:
        attributes["aria-describedby"] = " ".join(described)
    return mark_safe(field.as_widget(attrs=attributes))  # noqa: S308  Django's own widget, escaped by its template


@register.filter
def is_link(url: str) -> bool:
    """Return whether an untrusted URL may be a link: never javascript: or data:."""
    return url.startswith(("https://", "http://"))


@register.filter
def part_title(name: str) -> str:
    """Return the title of an integration."""
    return rendering.render(registry.title(name)) if name in registry.PARTS else name


@register.filter
def part_titles(names: Iterable[str]) -> str:
    """Return the titles of integrations, separated by commas."""
    return ", ".join(map(part_title, names))


@register.filter
def part_of(pointer: str) -> str:
    """Return the first name of a JSON pointer, /part/field."""
    return pointer.strip("/").partition("/")[0]


@register.filter
def field_of(pointer: str) -> str:
    """Return the second name of a JSON pointer, /part/field, or ""."""
    return pointer.strip("/").partition("/")[2]


@register.filter
def batch_sizes(batches: Sequence[int]) -> str:
    """Return the sizes of at most MAX_BATCH_SIZES batches, separated by commas."""
    sizes = ", ".join(map(str, batches[:MAX_BATCH_SIZES]))
    return f"{sizes} …" if len(batches) > MAX_BATCH_SIZES else sizes


@register.filter
def column(rows: Iterable[object], name: str) -> str:
    """Return one attribute of each row, separated by commas; nothing stands for None."""
    values = (getattr(row, name) for row in rows)
    return ",".join("" if value is None else str(value) for value in values)
