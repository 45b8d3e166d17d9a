"""What a list says about itself."""

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from ..queries import paging

register = template.Library()


@register.simple_tag
def how_many(count: int) -> str:
    """Say how many rows a list has; of a list that is too long to be counted, that there are more (paging.Page)."""
    if count > paging.MAX_COUNTED:
        return gettext("%(n)s+ entries") % {"n": number_format(paging.MAX_COUNTED, use_l10n=False, force_grouping=True)}
    shown = number_format(count, use_l10n=False, force_grouping=True)
    return ngettext("%(n)s entry", "%(n)s entries", count) % {"n": shown}
