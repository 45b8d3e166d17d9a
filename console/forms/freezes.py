"""The form of a freeze. `microservice.deployments.freeze_changes` holds the rules."""

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from asset.models import Environment
from microservice.deployments.freezes import times_of
from microservice.deployments.recurrences import DAYS
from microservice.models import Freeze

from .fields import Form

ONCE, RULE = "once", "rule"
REPEATS = [
    (ONCE, _("Once")),
    ("DAILY", _("Every day")),
    ("WEEKLY", _("Every week")),
    ("MONTHLY", _("Every month")),
    ("YEARLY", _("Every year")),
    (RULE, _("By a rule of RFC 5545")),
]
_DAYS = list(
    zip(
        DAYS,
        (_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday")),
        strict=True,
    )
)
_SIMPLE = re.compile(r"FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(?:;BYDAY=((?:[A-Z]{2},?)+))?(?:;UNTIL=(\d{8}))?")


def _time(label: Any, hint: Any = "") -> forms.CharField:
    widget = forms.TextInput({"type": "datetime-local"})
    return forms.CharField(label=label, help_text=hint, max_length=32, widget=widget)


class FreezeForm(Form):
    name = forms.CharField(label=_("Name"), max_length=64)
    reason = forms.CharField(
        label=_("Reason"), max_length=500, help_text=_("Shown wherever something waits for its end.")
    )
    everywhere = forms.BooleanField(label=_("In all environments, also those that are added later"), required=False)
    environments = forms.ModelMultipleChoiceField(
        Environment.objects.all(),
        label=_("Or in these environments"),
        required=False,
        widget=forms.CheckboxSelectMultiple(),
    )
    start = _time(_("From"), _("The first time that it holds, by the clock of its time zone."))
    end = _time(_("To"))
    time_zone = forms.CharField(label=_("Time zone"), max_length=64, help_text=_("Such as Europe/Berlin."))
    repeats = forms.ChoiceField(label=_("Repeats"), choices=REPEATS)
    days = forms.MultipleChoiceField(
        label=_("Every week: begins on (none: the weekday on which it first begins)"),
        choices=_DAYS,
        required=False,
        widget=forms.CheckboxSelectMultiple(),
    )
    last_day = forms.DateField(
        label=_("Repeats until"),
        required=False,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        help_text=_("The last day on which it begins. Empty: it goes on repeating."),
    )
    recurrence = forms.CharField(
        label=_("Rule"),
        max_length=255,
        required=False,
        help_text=_("Such as FREQ=MONTHLY;BYDAY=-1FR for the last Friday of every month."),
    )
    allow_reverts = forms.BooleanField(label=_("Reverts and retries go on meanwhile"), required=False)

    def __init__(self, data: Any = None, freeze: Freeze | None = None) -> None:
        initial = _shown(freeze) if freeze else _new()
        super().__init__(data, initial=initial)
        self._shown = initial

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        repeats, rule = cleaned.get("repeats"), cleaned.get("recurrence")
        if repeats == RULE and not rule and "recurrence" not in self.errors:
            self.add_error("recurrence", gettext("Enter a rule, or choose above how it repeats."))
        elif rule and repeats not in (None, RULE) and rule != self._shown["recurrence"]:
            self.add_error("recurrence", gettext("Choose “By a rule of RFC 5545” above, or empty this field."))
        return cleaned

    def values(self) -> dict[str, Any]:
        """Return the values for `freeze_changes`. Times that were not changed are left out: a clock time can mean two
        moments."""
        data = self.cleaned_data
        found = {name: data[name] for name in ("name", "reason", "everywhere", "time_zone", "allow_reverts")}
        found["environments"] = [one.pk for one in data["environments"]]
        found["recurrence"] = _recurrence(data)
        same_zone = data["time_zone"] == self._shown["time_zone"]
        return found | {
            name: data[name] for name in ("start", "end") if not same_zone or data[name] != self._shown.get(name)
        }


def _new() -> dict[str, Any]:
    zone = timezone.get_current_timezone_name()
    return {"time_zone": zone, "allow_reverts": True, "repeats": ONCE, "recurrence": ""}


def _shown(freeze: Freeze) -> dict[str, Any]:
    zone = times_of(freeze).zone
    shown = {name: getattr(freeze, name) for name in ("name", "reason", "everywhere", "time_zone", "allow_reverts")}
    clocks = {name: getattr(freeze, name).astimezone(zone).replace(tzinfo=None) for name in ("start", "end")}
    return {
        **shown,
        "environments": list(freeze.environments.all()),
        **{name: one.isoformat(timespec="seconds" if one.second else "minutes") for name, one in clocks.items()},
        **repeats_of(freeze.recurrence),
    }


def repeats_of(recurrence: str) -> dict[str, Any]:
    """Return what the form shows of a rule: its own choices where they say all of it, else the rule."""
    if not recurrence:
        return {"repeats": ONCE, "recurrence": ""}
    match = _SIMPLE.fullmatch(recurrence)
    days = match[2].split(",") if match and match[2] else []
    if not match or (days and match[1] != "WEEKLY") or not set(days) <= set(DAYS):
        return {"repeats": RULE, "recurrence": recurrence}
    last = match[3] or ""
    return {
        "repeats": match[1],
        "days": days,
        "last_day": f"{last[:4]}-{last[4:6]}-{last[6:]}" if last else None,
        "recurrence": "",
    }


def _recurrence(data: Mapping[str, Any]) -> str:
    repeats = data["repeats"]
    if repeats in (ONCE, RULE):
        return data["recurrence"] if repeats == RULE else ""
    days = f";BYDAY={','.join(data['days'])}" if data["days"] and repeats == "WEEKLY" else ""
    last = f";UNTIL={data['last_day']:%Y%m%d}" if data["last_day"] else ""
    return f"FREQ={repeats}{days}{last}"


def words(recurrence: str) -> str:
    """Return how it repeats, in words; the rule where no words say it."""
    repeats = repeats_of(recurrence)["repeats"]
    return recurrence if repeats == RULE else str(dict(REPEATS)[repeats])
