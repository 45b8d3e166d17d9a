"""What a list says about itself, a person's own filters of it, and labels as filters name them."""

from typing import Any

from django import template
from django.template import Context
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from asset import labels

from .. import refused_forms, saved_filters
from ..forms.saved_filters import SavedFilterForm
from ..queries import paging

register = template.Library()


@register.simple_tag
def how_many(count: int) -> str:
    """Say how many rows a list has; of a list that is too long to be counted, that there are more (paging.Page)."""
    if count > paging.MAX_COUNTED:
        return gettext("%(n)s+ entries") % {"n": number_format(paging.MAX_COUNTED, use_l10n=False, force_grouping=True)}
    shown = number_format(count, use_l10n=False, force_grouping=True)
    return ngettext("%(n)s entry", "%(n)s entries", count) % {"n": shown}


@register.inclusion_tag("saved_filters.html", takes_context=True, name="saved_filters")
def saved_filters_of(context: Context, page: str) -> dict[str, Any]:
    """Render a person's own filters of a list, and the form that saves what it is filtered by. At most one query."""
    request = context["request"]
    filters = saved_filters.shown(request, page)
    if filters is None:
        return {}
    initial = {"page": page, "query": filters["query"]}
    return {
        "filters": filters,
        "form": refused_forms.bring_back(request, SavedFilterForm(initial=initial, auto_id="filter-%s")),
        "address": f"{request.path}?{filters['query']}",
        "csrf_token": context.get("csrf_token"),
    }


@register.simple_tag
def label_text(name: str, value: str | None) -> str:
    """Return a host's label, or a condition of a group, as a filter names it."""
    return labels.as_text({name: value})
