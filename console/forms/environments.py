"""The forms of an environment. `asset.environments` holds the rules."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.functional import lazy
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from asset.environments import MAX_APPROVALS, MAX_POSITION, MAX_SOAK, MAX_WAIT
from asset.labels import Selector
from asset.models import Environment
from messages.rendering import term

from .choosers import Chooser
from .fields import Form
from .targets import GroupField, LabelsField

DEFAULT_WAIT = Environment._meta.get_field("wait_hours").default  # hours


class EnvironmentField(forms.ModelChoiceField):
    """An environment, by its id; empty for none."""

    def __init__(self, **more: Any) -> None:
        super().__init__(Environment.objects.all(), **{"required": False, **more})


def drop_if_none(form: forms.Form, name: str) -> None:
    """Leave this field of an environment out of a form while there are no environments."""
    if len(form.fields[name].choices) == 1:  # type: ignore[attr-defined]
        del form.fields[name]


def _number(label: Any, hint: Any, least: int, most: int) -> forms.IntegerField:
    return forms.IntegerField(label=label, help_text=hint, min_value=least, max_value=most, required=False)


class EnvironmentForm(Form):
    name = forms.CharField(label=_("Name"), max_length=64)
    description = forms.CharField(label=_("Description"), max_length=256, required=False)
    colour = forms.ChoiceField(
        label=_("Colour"), choices=[(word, lazy(term, str)(word)) for word in Environment.Colour.values]
    )
    position = _number(
        _("Position"),
        _("Environments are listed by it, the least first. Leave empty to add it as the last."),
        0,
        MAX_POSITION,
    )
    requires_id = EnvironmentField(
        label=_("Requires"),
        empty_label=pgettext_lazy("environment", "none"),
        help_text=_("A version must have run well in that environment before it is deployed to this one."),
    )
    soak_minutes = _number(_("Soak time (minutes)"), _("How long it must have run there. Empty: no time."), 0, MAX_SOAK)
    approvals = _number(
        _("Required approvals"),
        _("How many people other than the one who asks must approve a deployment. Empty: none."),
        0,
        MAX_APPROVALS,
    )
    approvers = Chooser(
        "team",
        label=_("Approved by"),
        required=False,
        placeholder=_("everyone who may deploy the service"),
        help_text=_("The team whose members approve."),
    )
    wait_hours = _number(
        _("Longest wait (hours)"), _("A deployment that still waits then is cancelled. Empty: 24 hours."), 1, MAX_WAIT
    )
    approve_reverts = forms.BooleanField(
        label=_("Reverts wait for approval too"),
        required=False,
        help_text=_("If not, a revert begins at once: it brings back what ran before."),
    )
    tokens_wait = forms.BooleanField(
        label=_("What API tokens ask for waits for a person"),
        required=False,
        help_text=_("At least one person approves it, even if no approvals are required otherwise."),
    )

    GROUPS = (
        (_("General"), ("name", "description", "colour", "position")),
        (_("Promotion"), ("requires_id", "soak_minutes")),
        (_("Approval"), ("approvals", "approvers", "wait_hours", "approve_reverts", "tokens_wait")),
    )

    def __init__(
        self,
        *values: Any,
        environment: Environment | None = None,
        initial: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Make the form. `initial`: the fields as `asset.environments` shows them."""
        saved = dict(initial or {})
        super().__init__(*values, initial=saved | {"tokens_wait": not saved.get("tokens_deploy", True)}, **more)
        others = Environment.objects.exclude(pk=environment.pk) if environment else Environment.objects.all()
        self.fields["requires_id"].queryset = others  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """Return the values for `asset.environments`."""
        data = dict(self.cleaned_data)
        data["requires_id"] = data["requires_id"].pk if data["requires_id"] else None
        data["soak_minutes"] = data["soak_minutes"] or 0
        data["approvals"] = data["approvals"] or 0
        data["approvers"] = getattr(data["approvers"], "pk", data["approvers"])  # unchanged, it is a name
        data["tokens_deploy"] = not data.pop("tokens_wait")
        if data["wait_hours"] is None:
            data["wait_hours"] = DEFAULT_WAIT
        if data["position"] is None:
            del data["position"]
        return data

    def groups(self) -> list[tuple[Any, list[forms.BoundField]]]:
        """Return the headings with their fields, for the template."""
        return [(title, [self[name] for name in names]) for title, names in self.GROUPS]


class EnvironmentHostsForm(Form):
    """Which hosts come into an environment: those with labels, or of a group."""

    labels = LabelsField(help_text=_("Every host with all of these labels, such as zone=eu canary."))
    group = GroupField(label=_("Or a host group"))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and bool(cleaned.get("labels")) == bool(cleaned.get("group")):
            self.add_error("labels", gettext("Enter labels, or choose a group."))
        return cleaned

    @property
    def selector(self) -> Selector:
        data = self.cleaned_data
        return data["group"].labels if data["group"] else data["labels"]
