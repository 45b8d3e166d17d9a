"""How a freeze is shown: how it repeats, in words."""

from django import template

from microservice.models import Freeze

from ..forms.freezes import words

register = template.Library()


@register.filter
def repeats(freeze: Freeze) -> str:
    return words(freeze.recurrence)
