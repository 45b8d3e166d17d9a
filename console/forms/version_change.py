"""The forms of the dialogs that change what runs: upgrade, revert and install. Each makes the value of its request."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from access.problems import Problem
from messages.rendering import render
from microservice.deployments.installs import Installation
from microservice.deployments.rollout import InvalidStrategy, OnFailure, Strategy
from microservice.deployments.selection import ALL
from microservice.deployments.version_change import VersionChange
from microservice.models import MicroServiceVersion
from microservice.status import Action
from runtime.ids import parse_id, parse_number

_NUMBER = {"required": _("Enter a whole number."), "invalid": _("Enter a whole number.")}


def _number(label: Any, required: bool = False, placeholder: str = "", **more: Any) -> forms.IntegerField:
    widget = forms.TextInput({"inputmode": "numeric", "placeholder": placeholder})
    return forms.IntegerField(label=label, required=required, widget=widget, error_messages=_NUMBER, **more)


class HostIds(forms.MultipleChoiceField):
    """The ids of the ticked hosts. Which of them exist is checked where the request is looked up."""

    def valid_value(self, value: str) -> bool:
        return parse_id(value) is not None

    def clean(self, value: Any) -> tuple[int, ...]:
        return tuple(dict.fromkeys(int(one) for one in super().clean(value)))


class StrategyForm(forms.Form):
    """How a deployment works through its hosts; `cleaned_data["strategy"]` is the Strategy.

    A dialog is always bound: what is chosen so far stands in the address, so that its plan can be shown.
    """

    STRATEGY = ("canary", "batch_size", "max_failures", "on_failure", "pause_between")
    DEFAULTS: dict[str, str] = {}

    canary = _number(_("Canary hosts"), placeholder="0", help_text=_("Deployed first, before all other hosts."))
    batch_size = forms.CharField(
        label=_("Batch size"),
        required=False,
        widget=forms.TextInput({"placeholder": _("all at once")}),
        help_text=_("Number of hosts or a percentage, e.g. 20%."),
    )
    max_failures = _number(_("Failures allowed"), placeholder="0")
    on_failure = forms.ChoiceField(
        label=_("When exceeded"),
        required=False,
        choices=[
            (OnFailure.HOLD.value, _("Stop the rollout")),
            (OnFailure.REVERT_BATCH.value, _("Stop and revert this batch")),
            (OnFailure.REVERT_ALL.value, _("Stop and revert all hosts")),
        ],
    )
    pause_between = forms.BooleanField(label=_("Pause between batches"), required=False)
    plan_token = forms.CharField(required=False, strip=False, widget=forms.HiddenInput())

    def __init__(self, data: QueryDict, **more: Any) -> None:
        data = data.copy()
        for name, value in self.DEFAULTS.items():
            data.setdefault(name, value)
        self.chosen = data
        super().__init__(data, **{"auto_id": "%s", **more})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors.keys() & set(self.STRATEGY):
            try:
                cleaned["strategy"] = Strategy.parse(self._strategy_json())
            except InvalidStrategy as error:
                self.add_error(error.path.strip("/") or None, render(error.reason))
        return cleaned

    def _strategy_json(self) -> dict[str, Any]:
        """Return the strategy as filled in, in the API's form."""
        values = {name: self.cleaned_data.get(name) for name in self.STRATEGY if name in self.fields}
        size = values.get("batch_size")
        if size and (number := parse_number(size)) is not None:
            values["batch_size"] = number
        return {name: value for name, value in values.items() if value not in (None, "")}

    def add_problem(self, problem: Problem) -> None:
        """Show the reasons of a refusal beside the fields that it names; the refusal itself is shown as a whole."""
        for error in problem.errors:
            name = error["pointer"].rpartition("/")[2]
            if name in self.shown_fields and name not in self.errors:
                self.add_error(name, error["reason"])

    @property
    def shown_fields(self) -> tuple[str, ...]:
        """The fields that the field template shows, each with a place for its errors."""
        return tuple(name for name in self.STRATEGY if name in self.fields)

    def strategy_fields(self) -> Iterator[forms.BoundField]:
        return (self[name] for name in self.STRATEGY if name in self.fields)

    def chosen_hosts(self) -> list[str]:
        """Return the ticked hosts as text, valid or not."""
        return self["host"].value() or []

    def confirmation(self, plan_token: str) -> "StrategyForm":
        """Return the same choices as hidden fields, with the token of the plan that is shown."""
        data = self.chosen.copy()
        data["plan_token"] = plan_token
        return type(self)(data, auto_id=False)


class VersionChangeForm(StrategyForm):
    """The dialog of an upgrade or a revert."""

    DEFAULTS = {"where": "all"}

    dest_version = forms.IntegerField(
        error_messages={"required": _("Choose a version."), "invalid": _("Choose a version.")}
    )
    # Their labels are markup, in the template.
    where = forms.ChoiceField(choices=[("all", ""), ("some", "")], required=False, widget=forms.RadioSelect())
    host = HostIds(required=False)
    allow_bad = forms.BooleanField(required=False)
    mark_bad = forms.BooleanField(
        required=False,
        help_text=_("API tokens and automation will no longer deploy it. Signed-in users still can, explicitly."),
    )
    reason = forms.CharField(label=_("Reason"), max_length=256, required=False)

    def __init__(self, data: QueryDict, from_version: str = "", **more: Any) -> None:
        super().__init__(data, **more)
        self.fields["mark_bad"].label = gettext("Mark %(version)s as bad") % {"version": from_version}

    @property
    def shown_fields(self) -> tuple[str, ...]:
        return (*super().shown_fields, "mark_bad", "reason")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("where") == "some" and not cleaned.get("host") and "host" not in self.errors:
            self.add_error("host", gettext("Select at least one host, or all hosts."))
        return cleaned

    def change(self, version: MicroServiceVersion, action: Action) -> VersionChange:
        """Return the value of a valid form."""
        data = self.cleaned_data
        reverts = action == Action.REVERT  # only there the dialog offers to mark the version
        return VersionChange(
            service=version.microservice,
            version=version,
            action=action,
            dest_version=data["dest_version"],
            host=data["host"] if data["where"] == "some" else ALL,
            strategy=data["strategy"],
            allow_bad=data["allow_bad"],
            mark_bad=reverts and data["mark_bad"],
            reason=data["reason"] if reverts else "",
            plan_token=data["plan_token"],
        )


class InstallForm(StrategyForm):
    """The dialog of an install. It always holds on too many failures: there is no version to revert to."""

    DEFAULTS = {"port": "0", "weight": "100"}
    INSTANCE = ("port", "tag", "weight", "adopt")

    on_failure = None  # type: ignore[assignment]  # Django's way to drop an inherited field
    host = HostIds(required=False)
    port = _number(_("Port"), required=True, min_value=0, max_value=65535)
    tag = forms.CharField(label=_("Tag"), max_length=64, required=False)
    weight = _number(_("Weight"), required=True, min_value=0, max_value=1_000_000)
    adopt = forms.BooleanField(
        label=_("Adopt the running service"),
        required=False,
        help_text=_("Checks and records what runs there already; runs nothing."),
    )
    allow_bad = forms.BooleanField(label=_("Install although it was marked bad"), required=False)

    @property
    def shown_fields(self) -> tuple[str, ...]:
        return (*super().shown_fields, *self.INSTANCE, "allow_bad")

    def instance_fields(self) -> Iterator[forms.BoundField]:
        return (self[name] for name in self.INSTANCE)

    def installation(self, version: MicroServiceVersion) -> Installation:
        """Return the value of a valid form with at least one host."""
        data = self.cleaned_data
        names = ("host", "port", "tag", "weight", "adopt", "strategy", "allow_bad", "plan_token")
        return Installation(version=version, **{name: data[name] for name in names})
