"""The form of a release train: its own fields, and a row for each version. The rules are in `microservice.trains`."""

from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from access.callers import Caller
from access.problems import Problem
from microservice.models import Train
from microservice.trains.values import MAX_NAME, MAX_PARTS, MAX_STAGES, Entry, TrainRequest
from runtime.ids import parse_number

from .choosers import Chooser
from .environments import EnvironmentField, drop_if_none
from .fields import Form

ROWS = 4  # of a new form


class TrainForm(Form):
    name = forms.CharField(label=_("Name"), max_length=MAX_NAME)
    environment = EnvironmentField(label=_("Environment"), empty_label=pgettext_lazy("environment", "none"))
    on_failure = forms.ChoiceField(
        label=_("When a stage fails"),
        choices=[
            (Train.OnFailure.HOLD.value, _("Stop, and wait for a person")),
            (Train.OnFailure.REVERT_TRAIN.value, _("Revert the train, last stage first")),
        ],
    )
    note = forms.CharField(
        label=_("Note"), max_length=500, required=False, help_text=_("Why: shown with each of its deployments.")
    )

    def __init__(self, *values: Any, **more: Any) -> None:
        super().__init__(*values, **more)
        drop_if_none(self, "environment")


class PartForm(Form):
    stage = forms.IntegerField(label=_("Stage"), min_value=1, max_value=MAX_STAGES)
    service = Chooser("service", makes=False, label=_("Service"), required=False)
    version = forms.CharField(
        label=_("Version"),
        max_length=48,
        required=False,
        widget=forms.TextInput({"placeholder": _("newest one that is built"), "spellcheck": "false"}),
    )


class WholeForm:
    """The form with all of its rows. Rows without a service are left out."""

    def __init__(self, data: QueryDict | None, caller: Caller) -> None:
        number = parse_number(data.get("rows", ""), MAX_PARTS) if data else None
        adds = bool(data and data.get("more"))
        self.rows = min(MAX_PARTS, (number or ROWS) + (ROWS if adds else 0))
        bound = None if adds else data
        self.train = TrainForm(bound, initial=_typed(data, "", TrainForm.base_fields) if adds else None)
        self.parts = [
            PartForm(
                bound,
                caller=caller,
                prefix=f"part{at}",
                initial={"stage": at + 1, **(_typed(data, f"part{at}-", PartForm.base_fields) if adds else {})},
                empty_permitted=True,
                use_required_attribute=False,
            )
            for at in range(self.rows)
        ]
        self.filled: list[PartForm] = []
        self._places: dict[str, PartForm] = {}

    def is_valid(self) -> bool:
        valid = [form.is_valid() for form in (self.train, *self.parts)]  # all of them, to show every error
        self.filled = [part for part in self.parts if part.cleaned_data.get("service")] if all(valid) else []
        if all(valid) and not self.filled:
            self.parts[0].add_error("service", gettext("Choose a service."))
        return bool(self.filled)

    def request(self, newest: Callable[[Iterable[int]], dict[int, int]], plan_token: str | None) -> TrainRequest:
        """Return what a valid form asks for. `newest`: the newest version (id) of each service (id)."""
        proposed = newest(part.cleaned_data["service"].pk for part in self.filled)
        numbers = sorted({part.cleaned_data["stage"] for part in self.filled})  # gaps between them do not matter
        stages = []
        for at, number in enumerate(numbers):
            stage = [part for part in self.filled if part.cleaned_data["stage"] == number]
            self._places |= {Entry.at(at, position): part for position, part in enumerate(stage)}
            stages.append(tuple(_entry(part, proposed) for part in stage))
        data = self.train.cleaned_data
        environment = data.get("environment")
        return TrainRequest(
            name=data["name"],
            environment=environment.pk if environment else "",
            stages=tuple(stages),
            on_failure=Train.OnFailure(data["on_failure"]),
            note=data["note"],
            plan_token=plan_token,
        )

    def add_problem(self, problem: Problem) -> None:
        """Add a refusal's reasons where they belong: to the row and field that each names, or to the form."""
        placed = False
        for error in problem.field_errors:
            place, _slash, name = error.pointer.rpartition("/")
            part = self._places.get(error.pointer) or self._places.get(place)
            if part is not None:
                part.add_error(name if name in part.fields else "service", error.text)
            elif name in self.train.fields:
                self.train.add_error(name, error.text)
            placed = placed or part is not None or name in self.train.fields
        if not placed:
            self.train.add_error(None, f"{problem.sentence} {problem.hint}".strip())


def _entry(part: PartForm, proposed: dict[int, int]) -> Entry:
    service, version = part.cleaned_data["service"].pk, part.cleaned_data["version"]
    return Entry(service, version or proposed.get(service, 0))


def _typed(data: QueryDict | None, prefix: str, fields: Iterable[str]) -> dict[str, Any]:
    """Return what was typed so far, for a form that is shown again with more rows."""
    return {name: data[f"{prefix}{name}"] for name in fields if data and f"{prefix}{name}" in data}
