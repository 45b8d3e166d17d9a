"""Where the request of a dialog goes: all hosts, those with certain labels, those of a group, or the ticked ones; where
there are hosts in several environments, of one of these.

The hosts of a label or a group are looked up when the plan is made, and again when it is confirmed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.boundfield import BoundWidget
from django.http import QueryDict
from django.urls import reverse_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from access.problems import Problem
from asset import labels as host_labels
from asset.environments import NONE
from asset.labels import Selector
from asset.models import HostGroup
from microservice.deployments.environments import Place
from microservice.deployments.selection import ALL
from runtime.ids import parse_id

LABEL_EXAMPLE = "zone=eu"


@dataclass(frozen=True, slots=True)
class Targets:
    """One of three: neither hosts nor labels where the form says "all"."""

    hosts: tuple[int, ...] | None = None
    labels: Selector | None = None
    environment: int | str | None = None  # by id or name; "": hosts in none; None: there is nothing to choose

    def as_change(self) -> dict[str, Any]:
        """Return the fields of a VersionChange."""
        host = (self.hosts or ALL) if self.labels is None else None
        return {"host": host, "labels": self.labels, "environment": self.environment}


class HostIds(forms.MultipleChoiceField):
    """The ids of the ticked hosts. Which of them exist is checked where the request is looked up."""

    def valid_value(self, value: str) -> bool:
        return parse_id(value) is not None

    def clean(self, value: Any) -> tuple[int, ...]:
        return tuple(dict.fromkeys(int(one) for one in super().clean(value)))


class LabelsField(forms.Field):
    """A selector as its text; `clean` returns the selector, {} for none. A script offers the labels that hosts have.

    It is no CharField, because one that comes back as shown keeps its initial value, which is a text here.
    """

    def __init__(self, placeholder: Any = LABEL_EXAMPLE, **more: Any) -> None:
        widget = forms.TextInput(
            {
                "placeholder": placeholder,
                "list": "known-labels",
                "autocomplete": "off",
                "spellcheck": "false",
                "hx-get": reverse_lazy("console:host_labels"),
                "hx-trigger": "focus once, input changed delay:200ms",
                "hx-target": "#known-labels",
                "hx-swap": "innerHTML",
                "hx-sync": "this:replace",
            }
        )
        super().__init__(widget=widget, **{"label": _("Labels"), "required": False, **more})

    def clean(self, value: Any) -> Selector:
        try:
            return host_labels.parse(super().clean(value) or "")
        except Problem as problem:
            raise forms.ValidationError([error["reason"] for error in problem.errors]) from problem


class GroupField(forms.ModelChoiceField):
    """A host group, by its name."""

    def __init__(self, **more: Any) -> None:
        defaults = {"label": _("Host group"), "empty_label": _("Choose a group"), "to_field_name": "name"}
        super().__init__(HostGroup.objects.order_by("name"), required=False, **{**defaults, **more})


class EnvironmentName(forms.CharField):
    """An environment by its name, as in the filters of lists, or by its id; 0 for hosts in none.

    Valid: as a VersionChange takes it.
    """

    def __init__(self) -> None:
        super().__init__(required=False, strip=False, max_length=64, widget=forms.HiddenInput())

    def clean(self, value: Any) -> int | str | None:
        text = super().clean(value)
        if not text:
            return None
        return "" if text == NONE else text


def named(place: Place) -> str:
    """Return what stands for an environment in addresses."""
    return place.environment.name if place.environment else NONE


class TargetFields(forms.Form):
    """`targets` of a valid form says where. The labels of the radio buttons are markup, in the template.

    `places`: the environments that there is a choice of. The dialog is open for one of them, at first for the first.
    """

    BY_LABEL = ("labels", "group")
    NEEDS_TICKS = True  # False: a dialog that may be shown before a host is ticked

    where = forms.ChoiceField(
        choices=[("all", ""), ("some", ""), ("labels", ""), ("group", "")], required=False, widget=forms.RadioSelect()
    )
    host = HostIds(required=False)
    labels = LabelsField()
    group = GroupField()
    environment = EnvironmentName()

    def __init__(self, data: QueryDict, *values: Any, places: Sequence[Place] = (), **more: Any) -> None:
        self.places = places if len(places) > 1 else ()
        if self.places and not data.get("environment"):
            data = data.copy()
            data["environment"] = named(places[0])
        chosen = [one for one in places if len(places) == 1 or data["environment"] in (named(one), str(one.number))]
        self.place = chosen[0] if chosen else None
        super().__init__(data, *values, **more)
        # From their places: rendering the radio buttons would validate a form that is not made up yet.
        where, of = self.fields["where"], self["where"].auto_id
        order = {value: place for place, (value, _label) in enumerate(where.choices)}  # type: ignore[attr-defined]
        for name in self.BY_LABEL:
            self.fields[name].widget.attrs["data-means"] = where.widget.id_for_label(of, order[name])

    @property
    def radios(self) -> dict[str, BoundWidget]:
        """Return the radio buttons of `where` by their values."""
        return {radio.data["value"]: radio for radio in self["where"]}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        where = cleaned.get("where")
        for name in self.BY_LABEL:
            if where != name:
                self.errors.pop(name, None)  # what was typed and is not chosen is in no one's way
        if where == "some" and not cleaned.get("host") and self.NEEDS_TICKS:
            self._require("host", gettext("Select at least one host, or all hosts."))
        elif where == "labels" and not cleaned.get("labels"):
            self._require("labels", gettext("Enter at least one label, such as %(label)s.") % {"label": LABEL_EXAMPLE})
        elif where == "group" and not cleaned.get("group"):
            self._require("group", gettext("Choose a group."))
        return cleaned

    def _require(self, name: str, text: str) -> None:
        if name not in self.errors:
            self.add_error(name, text)

    @property
    def targets(self) -> Targets:
        data, within = self.cleaned_data, self.cleaned_data["environment"]
        if data["where"] == "some":
            return Targets(hosts=data["host"], environment=within)
        if data["where"] == "labels":
            return Targets(labels=data["labels"], environment=within)
        return Targets(labels=data["group"].labels if data["where"] == "group" else None, environment=within)

    def addresses(self) -> list[tuple[Place, str]]:
        """Return the dialog's query for each environment, with the choices so far that hold there."""
        query, found = self.carried(), []
        for place in self.places:
            query["environment"] = named(place)
            found.append((place, query.urlencode()))
        return found

    def carried(self) -> QueryDict:
        """Return the choices that hold in another environment too: not the ticked hosts."""
        query: QueryDict = self.data.copy()  # type: ignore[attr-defined]  # a dialog is made of one
        for name in ("host", "key", "plan_token", "csrfmiddlewaretoken"):
            query.pop(name, None)
        return query

    def chosen_hosts(self) -> list[str]:
        """Return the ticked hosts as text, valid or not."""
        return self["host"].value() or []

    @property
    def names_hosts(self) -> bool:
        """Return whether something says where: a ticked host, or another choice than the ticked ones."""
        return bool(self.chosen_hosts()) or self["where"].value() != "some"

    @property
    def has_groups(self) -> bool:
        return len(self.fields["group"].choices) > 1  # type: ignore[attr-defined]
