"""The search fields of lists. A value that is not allowed is an error beside its field.

Most lists ignore such a value. The history does not: without its period it would show the wrong rows.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils.functional import lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from asset import labels
from asset.environments import NONE
from asset.labels import Selector
from builds import listing
from messages import Message
from messages.rendering import render, term
from microservice.models import MicroService
from microservice.status import Action, BuildStatus

from .. import moments
from ..queries import builds, deployments, history, hosts, pipelines, services
from .choosers import Chooser
from .targets import LabelsField

MAX_QUERY = 200  # characters of a parameter in the address
BOUNDS: tuple[moments.Bound, moments.Bound] = ("since", "until")


def _search(label: Any, placeholder: Any = "", **attributes: Any) -> forms.CharField:
    """Make the field that the key / focuses."""
    widget = forms.TextInput({"type": "search", "placeholder": placeholder, "data-find": True, **attributes})
    return forms.CharField(label=label, required=False, widget=widget)


def _live_search(label: Any, part: str, include: str) -> forms.CharField:
    """Make the search of a dialog's list, which the script fetches while the user types. `include`: what it sends."""
    return _search(
        label,
        label,
        **{
            "hx-get": f"?part={part}",
            "hx-trigger": "input changed delay:200ms",
            "hx-target": f"#{part}",
            "hx-swap": "innerHTML",
            "hx-include": include,
            "hx-sync": "this:replace",
        },
    )


def _name(kind: str, label: Any, placeholder: Any, **attributes: Any) -> Chooser:
    """Make a filter by the name of one row, which is found by typing. Names that are not proposed are accepted too."""
    return Chooser(
        kind, as_name=True, makes=False, label=label, required=False, placeholder=placeholder, attributes=attributes
    )


def _choice(label: Any, every: Any, words: Iterable[str], more: Iterable[tuple[str, Any]] = ()) -> forms.ChoiceField:
    """Make a choice. `words`: values that are words of the API; `more`: other values with their labels."""
    choices = [("", every), *more, *((word, lazy(term, str)(word)) for word in words)]
    return forms.ChoiceField(label=label, required=False, choices=choices)


def _environment(names: list[tuple[str, str]]) -> forms.ChoiceField:
    return _choice(_("Environment"), _("All environments"), (), [*names, (NONE, _("no environment"))])


class Filters(forms.Form):
    label_class = "visually-hidden"

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(dict(values), auto_id="%s")


class FleetFilters(Filters):
    state = forms.CharField(required=False, widget=forms.HiddenInput())
    q = _search(_("Service name"), _("Find a service"))

    def __init__(self, values: Mapping[str, str], environments: Iterable[str] = ()) -> None:
        super().__init__(values)
        if (names := [(name, name) for name in environments]) or values.get("environment"):
            self.fields["environment"] = _choice(_("Environment"), _("All environments"), (), names)


class LabelFilters(Filters):
    """Filters of hosts, or of what is on them, with a label and a group."""

    label = LabelsField(label=_("Label"), placeholder=_("Label, such as zone=eu"))

    def __init__(self, values: Mapping[str, str], groups: Iterable[str], environments: Iterable[str] = ()) -> None:
        super().__init__(values)
        if (names := [(name, name) for name in groups]) or values.get("group"):
            self.fields["group"] = _choice(_("Host group"), _("All groups"), (), names)
        if (names := [(name, name) for name in environments]) or values.get("environment"):
            self.fields["environment"] = _environment(names)

    def selectors(self) -> list[Selector] | None:
        """Return what the hosts must have; None where that cannot be read, which no host has. One query for a group."""
        if self.errors.keys() & {"label", "group"}:
            return None
        label, group = self.cleaned_data["label"], self.cleaned_data.get("group")
        return [one for one in (label, labels.group(group).labels if group else {}) if one]


class HostFilters(LabelFilters):
    q = _search(_("Name or address"), _("Find a name or address"))
    state = _choice(_("State"), _("All states"), hosts.STATES)
    field_order = ("q", "label", "group", "environment", "state", "team")

    def __init__(
        self, values: Mapping[str, str], groups: Iterable[str], environments: Iterable[str], teams: Iterable[str]
    ) -> None:
        super().__init__(values, groups, environments)
        if names := [(name, name) for name in teams]:
            self.fields["team"] = _choice(_("Team"), _("All teams"), (), names)
        self.order_fields(self.field_order)


class VersionFilters(Filters):
    q = _search(_("Version or branch"), _("Find a version or branch"))
    status = _choice(_("Status"), _("All statuses"), BuildStatus.labels, [("runs", _("Running on hosts"))])


class InstanceFilters(LabelFilters):
    version = forms.CharField(required=False, widget=forms.HiddenInput())
    q = _search(_("Host or tag"), _("Find a host or tag"))
    state = _choice(_("State"), _("All states"), services.INSTANCE_STATES)
    field_order = ("version", "q", "label", "group", "environment", "state")

    def __init__(self, values: Mapping[str, str], groups: Iterable[str], environments: Iterable[str] = ()) -> None:
        super().__init__(values, groups, environments)
        self.order_fields(self.field_order)


class DeploymentFilters(Filters):
    service = _name("service", _("Service"), _("All services"), **{"data-find": True})
    version = forms.CharField(required=False, widget=forms.HiddenInput())
    status = _choice(_("Status"), _("All statuses"), deployments.STATUS_FILTERS)
    action = _choice(_("Action"), _("All actions"), Action.values)
    field_order = ("service", "environment", "status", "action")

    def __init__(self, values: Mapping[str, str], environments: Iterable[str] = ()) -> None:
        super().__init__(values)
        if names := [(name, name) for name in environments]:
            self.fields["environment"] = _environment(names)
        self.order_fields(self.field_order)


class WaitingFilters(Filters):
    service = _name("service", _("Service"), _("All services"), **{"data-find": True})

    def __init__(self, values: Mapping[str, str], environments: Iterable[str] = ()) -> None:
        super().__init__(values)
        if names := [(name, name) for name in environments]:
            self.fields["environment"] = _choice(_("Environment"), _("All environments"), (), names)


class BuildFilters(Filters):
    service = _name("service", _("Service"), _("All services"), **{"data-find": True})
    status = _choice(_("Status"), _("All statuses"), listing.STATUSES)
    origin = _choice(_("Built by"), _("All sources"), (), MicroService.Origin.choices)
    requested_by = _name("person", _("User"), _("All users"))
    since = _choice(_("From"), _("Any time"), (), builds.PERIODS)


class PipelineFilters(LabelFilters):
    """What the job of a pipeline is for, and on which hosts it installs what is not there yet."""

    label_class = "small"

    service = _name("service", _("Service"), _("Choose a service"))
    label = LabelsField(label=_("Install on hosts with"), placeholder=_("Label, such as zone=eu"))
    field_order = ("service", "system", "kind", "label", "group")

    def __init__(
        self, values: Mapping[str, str], groups: Iterable[str], systems: Mapping[str, str], kinds: Mapping[str, Any]
    ) -> None:
        super().__init__(values, groups)
        self.fields["system"] = forms.ChoiceField(label=_("CI system"), choices=list(systems.items()))
        self.fields["kind"] = forms.ChoiceField(label=_("Publishes"), choices=list(kinds.items()))
        if "group" in self.fields:
            self.fields["group"] = _choice(_("Or on a group"), _("No group"), (), [(name, name) for name in groups])
        self.order_fields(self.field_order)

    def install_options(self) -> str:
        """Return the options of deployctl that install on the chosen hosts; "" without any, or with wrong ones."""
        if self.errors.keys() & {"label", "group"}:
            return ""
        label, group = self.cleaned_data["label"], self.cleaned_data.get("group", "")
        options = pipelines.install_options(label, group)
        if options is None:
            self.add_error(
                "group" if group else "label",
                gettext("This cannot be written into a job: use letters, digits, blanks and . _ / @ + , = -"),
            )
        return options or ""


class PersonFilters(Filters):
    q = _search(_("Name or e-mail"), _("Find a user"))


def _time(label: Any) -> forms.CharField:
    widget = forms.TextInput({"type": "datetime-local", "aria-describedby": "zone"})
    return forms.CharField(label=label, required=False, widget=widget)


def _offset(label: Any) -> forms.CharField:
    return forms.CharField(label=label, required=False, widget=forms.Select())


class PeriodFilters(Filters):
    """A period, as clock times in the user's zone or as times with their own offset. Valid: two moments or None.

    `…_at` is the UTC offset of an ambiguous clock time. The form has that field only for an ambiguous time.
    """

    label_class = "small"

    since = _time(_("From"))
    since_at = _offset(_("UTC offset of the start"))
    until = _time(_("Until"))
    until_at = _offset(_("UTC offset of the end"))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        since, until = (self._moment(bound) for bound in BOUNDS)
        if since is None and not self.errors:
            since = self.default_since(until)
        if since and until and since >= until:
            self._add_reason("until", "not_after_start")
        for bound, moment in zip(BOUNDS, (since, until), strict=True):
            self._show(bound, moment)
        return cleaned | {"since": since, "until": until}

    def default_since(self, until: datetime | None) -> datetime | None:
        """Return the start of a period for which none was entered."""
        return None

    def _moment(self, bound: moments.Bound) -> datetime | None:
        text, offset = self.cleaned_data.get(bound), self.cleaned_data.get(f"{bound}_at", "")
        try:
            return moments.parse(text, bound, offset) if text else None
        except (ValueError, OverflowError):
            self._add_reason(bound, "not_a_time")
            return None

    def _add_reason(self, bound: moments.Bound, code: str) -> None:
        self.add_error(bound, render(Message(code)))

    def _show(self, bound: moments.Bound, moment: datetime | None) -> None:
        """Show a moment as its clock time, with a choice of offset if it is ambiguous. Keep other text as entered."""
        choices = moments.choices(moment) if moment else []
        if moment:
            shown = {bound: moments.clock_time(moment), f"{bound}_at": moments.offset_of(moment)}
            self.data = {**self.data, **shown}
        if choices:
            widget = self.fields[f"{bound}_at"].widget
            widget.choices = [(offset, f"{name} (UTC{offset})") for offset, name in choices]
        else:
            del self.fields[f"{bound}_at"]


class HistoryFilters(PeriodFilters):
    service = _name("service", _("Service"), _("All services"))
    actor = _name("person", _("User"), _("All users"))
    action = _choice(_("Action"), _("All actions"), history.ACTIONS)
    q = _search(_("Object"))


class VersionChangeFilters(PeriodFilters):
    """The last hour by default."""

    service = _name("service", _("Service"), _("All services"), **{"data-find": True})

    def __init__(self, values: Mapping[str, str], now: datetime) -> None:
        super().__init__(values)
        self.now = now

    def default_since(self, until: datetime | None) -> datetime:
        return (until or self.now) - timedelta(hours=1)


class LogSearch(Filters):
    q = _search(_("Search text"), _("Search the output"), maxlength=MAX_QUERY)

    def clean_q(self) -> str:
        text: str = self.cleaned_data["q"]
        if any(ord(character) < 32 for character in text):
            raise forms.ValidationError(render(Message("not_one_line")))
        return text


class VersionSearch(Filters):
    """In the dialogs of upgrades and reverts."""

    find = _live_search(_("Find a version, branch or note"), "versions", "closest form")


class HostSearch(Filters):
    """In the dialogs that choose hosts."""

    find_host = _live_search(_("Find a name or address"), "hosts", "[name=host]:checked, #choose [name=environment]")
