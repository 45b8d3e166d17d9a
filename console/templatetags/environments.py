"""How an environment is shown: its name in its colour, the same on every page."""

from django import template
from django.utils.safestring import SafeString

from asset.models import Environment

from .console import mark

register = template.Library()
TONES = {
    Environment.Colour.GREY: "idle",
    Environment.Colour.BLUE: "run",
    Environment.Colour.GREEN: "ok",
    Environment.Colour.AMBER: "warn",
    Environment.Colour.RED: "bad",
    Environment.Colour.VIOLET: "undo",
}


@register.simple_tag
def environment(row: Environment) -> SafeString:
    return mark(TONES[Environment.Colour(row.colour)], "brand", row.name)
