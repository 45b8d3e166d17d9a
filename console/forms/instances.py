"""The form of an instance. `instances.change` holds the rules."""

from django import forms
from django.utils.translation import gettext_lazy as _

from .fields import Form


class InstanceForm(Form):
    """The fields of an instance that users may change."""

    port = forms.IntegerField(label=_("Port"), min_value=0, max_value=65535, help_text=_("0 for none."))
    tag = forms.CharField(label=_("Tag"), max_length=64, required=False, strip=False)
    weight = forms.IntegerField(label=_("Weight"), min_value=0, max_value=1_000_000)
    description = forms.CharField(label=_("Description"), max_length=256, required=False, strip=False)
    is_maintain = forms.BooleanField(
        label=_("In maintenance"), required=False, help_text=_("Upgrades and reverts skip it.")
    )
