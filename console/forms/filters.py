"""The search fields above lists. The lists' queries read the address; these show what it holds."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from messages.rendering import term
from microservice.status import Action, BuildStatus

from ..queries import deployments, hosts, services


def _search(label: Any, placeholder: Any) -> forms.CharField:
    """Make the field that the key / focuses."""
    widget = forms.TextInput({"type": "search", "placeholder": placeholder, "data-find": True})
    return forms.CharField(label=label, required=False, widget=widget)


def _choice(label: Any, every: Any, words: Iterable[str], more: Iterable[tuple[str, Any]] = ()) -> forms.ChoiceField:
    """Make a choice. `words`: values that are words of the API; `more`: other values with their labels."""
    choices = [("", every), *more, *((word, lazy(term, str)(word)) for word in words)]
    return forms.ChoiceField(label=label, required=False, choices=choices)


class Filters(forms.Form):
    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(initial=dict(values), auto_id="%s")


class FleetFilters(Filters):
    state = forms.CharField(required=False, widget=forms.HiddenInput())
    q = _search(_("Service name"), _("Find a service"))


class HostFilters(Filters):
    q = _search(_("Name or address"), _("Find a name or address"))
    state = _choice(_("State"), _("All states"), hosts.STATES)

    def __init__(self, values: Mapping[str, str], teams: Iterable[str]) -> None:
        super().__init__(values)
        if names := [(name, name) for name in teams]:
            self.fields["team"] = _choice(_("Team"), _("All teams"), (), names)


class VersionFilters(Filters):
    q = _search(_("Version or branch"), _("Find a version or branch"))
    status = _choice(_("Status"), _("All statuses"), BuildStatus.labels, [("runs", _("Running on hosts"))])


class InstanceFilters(Filters):
    version = forms.CharField(required=False, widget=forms.HiddenInput())
    q = _search(_("Host or tag"), _("Find a host or tag"))
    state = _choice(_("State"), _("All states"), services.INSTANCE_STATES)


class DeploymentFilters(Filters):
    service = _search(_("Service"), _("Exact service name"))
    status = _choice(_("Status"), _("All statuses"), deployments.STATUS_FILTERS)
    action = _choice(_("Action"), _("All actions"), Action.values)


class PersonFilters(Filters):
    q = _search(_("Name or e-mail"), _("Find a user"))
