"""The form that gives a filter its name. `saved_filters` holds the rules."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from .. import saved_filters


class SavedFilterForm(forms.Form):
    name = forms.CharField(label=_("Name of the filter"), max_length=64)
    page = forms.ChoiceField(choices=[(page, page) for page in saved_filters.PARAMETERS], widget=forms.HiddenInput())
    query = forms.CharField(max_length=2000, widget=forms.HiddenInput())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        page, query = cleaned.get("page"), cleaned.get("query")
        cleaned["query"] = saved_filters.read(page, query) if page and query else ""
        if not cleaned["query"]:
            self.add_error("query", "")
        return cleaned
