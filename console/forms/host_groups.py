"""The form of a host group. `asset.host_groups` holds the rules."""

from django import forms
from django.utils.translation import gettext_lazy as _

from .fields import Form
from .targets import LabelsField


class HostGroupForm(Form):
    name = forms.CharField(label=_("Name"), max_length=64)
    labels = LabelsField(
        required=True,
        help_text=_(
            "The group is every host with all of these labels, such as zone=eu canary. A name alone: any value."
        ),
    )
    description = forms.CharField(label=_("Description"), max_length=256, required=False)
