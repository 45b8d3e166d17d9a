"""How an environment is shown: its name in its colour, the same on every page."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from asset.models import Environment
from messages.rendering import term

from .console import glyph, mark

register = template.Library()
TONES = {
    Environment.Colour.GREY: "idle",
    Environment.Colour.BLUE: "run",
    Environment.Colour.GREEN: "ok",
    Environment.Colour.AMBER: "warn",
    Environment.Colour.RED: "bad",
    Environment.Colour.VIOLET: "undo",
}


SHOWN = 32  # characters of a name


@register.simple_tag
def environment(row: Environment) -> SafeString:
    """Render an environment beside something that is in it."""
    return format_html(
        '<span class="status tone-{}" title="{}">{}{}</span>',
        TONES[Environment.Colour(row.colour)],
        row.name,
        glyph("brand"),
        Truncator(row.name).chars(SHOWN),
    )


@register.simple_tag
def colour(row: Environment) -> SafeString:
    """Render an environment's colour, and what it is called."""
    return mark(TONES[Environment.Colour(row.colour)], "brand", term(row.colour))
