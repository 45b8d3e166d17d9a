"""The fields of a strategy: in the dialogs that change what runs, and as a service's default."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from asset.strategy import InvalidStrategy, OnFailure, Strategy
from messages.rendering import render
from runtime.ids import parse_number

_NUMBER = {"required": _("Enter a whole number."), "invalid": _("Enter a whole number.")}


def number_field(label: Any, required: bool = False, placeholder: str = "", **more: Any) -> forms.IntegerField:
    widget = forms.TextInput({"inputmode": "numeric", "placeholder": placeholder})
    return forms.IntegerField(label=label, required=required, widget=widget, error_messages=_NUMBER, **more)


class StrategyFields(forms.Form):
    """`cleaned_data["strategy"]` of a valid form is the Strategy."""

    STRATEGY = ("canary", "batch_size", "max_failures", "on_failure", "pause_between")

    canary = number_field(_("Canary hosts"), placeholder="0", help_text=_("Deployed first, before all other hosts."))
    batch_size = forms.CharField(
        label=_("Batch size"),
        required=False,
        widget=forms.TextInput({"placeholder": _("all at once")}),
        help_text=_("Number of hosts or a percentage, e.g. 20%."),
    )
    max_failures = number_field(_("Failures allowed"), placeholder="0")
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

    def strategy_fields(self) -> Iterator[forms.BoundField]:
        return (self[name] for name in self.STRATEGY if name in self.fields)


class DefaultStrategyForm(StrategyFields):
    """The strategy of upgrades, reverts and deploys of a service or to an environment that name none themselves."""

    def __init__(self, data: QueryDict | None, saved: Mapping[str, Any], prefix: str = "strategy") -> None:
        super().__init__(data, initial=as_typed(saved), prefix=prefix, auto_id="%s")
        self.saved = dict(saved)

    @property
    def value(self) -> dict[str, Any]:
        """Return the strategy of a valid form as it is kept: {} where nothing differs from "all at once"; one that is
        saved already as it is saved."""
        strategy: Strategy = self.cleaned_data["strategy"]
        if strategy == Strategy.from_row(self.saved):
            return self.saved
        return {} if strategy == Strategy() else strategy.to_json()


def as_typed(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored strategy as the values of the fields; without those that say nothing."""
    strategy = Strategy.from_row(saved)
    values = {name: getattr(strategy, name) for name in StrategyFields.STRATEGY}
    return {name: str(value) if name == "on_failure" else value for name, value in values.items() if value}
