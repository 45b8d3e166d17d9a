"""The button that copies a text. static/js/copy.js does it, with the browser's clipboard or without."""

from functools import lru_cache

from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from microservice.output import terminal

MAX_NAME = 60  # characters of the text in the button's own name


def button(text: object, what: str = "", label: str = "") -> SafeString:
    """Render the button; nothing for an empty text.

    `what`: said instead of the text, where that is long: {% copy error _("Copy the error") %}. `label`: words to be
    seen beside the symbol.
    """
    words = terminal.plain("" if text is None else str(text))
    if not words:
        return SafeString()
    name = what or gettext("Copy %(text)s") % {"text": words if len(words) <= MAX_NAME else f"{words[:MAX_NAME]}…"}
    return format_html(
        '<button class="{}" type="button" title="{}" data-copies="{}">{}<span{}>{}</span></button>',
        "button small" if label else "copy",
        name,
        words,
        _symbol(),
        SafeString("") if label else SafeString(' class="visually-hidden"'),
        label or name,
    )


def link() -> SafeString:
    """Render a button that copies the page's address as it is by then: with its filter, its line, what is open."""
    return format_html(
        '<button class="button small" type="button" data-copies-address>{}<span>{}</span></button>',
        _symbol(),
        gettext("Copy link"),
    )


@lru_cache(maxsize=1)  # a page of a hundred hosts shows hundreds of them
def _symbol() -> SafeString:
    return format_html('<svg class="glyph" aria-hidden="true"><use href="{}#copy"></use></svg>', static("glyphs.svg"))
