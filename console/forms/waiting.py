"""What people say to a deployment that waits, and the time at which one is to begin."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from messages import Message
from messages.rendering import render
from microservice.deployments.waiting.answers import MAX_COMMENT

from .. import moments
from .confirmations import Confirmation


class StartAt(forms.CharField):
    """A clock time in the user's zone, or a time with its own offset, as a moment; None where it is empty."""

    def __init__(self, **more: Any) -> None:
        widget = forms.TextInput({"type": "datetime-local", "aria-describedby": "zone"})
        super().__init__(required=False, widget=widget, **more)

    def clean(self, value: Any) -> datetime | None:
        text = super().clean(value)
        try:
            return moments.parse(text, "since") if text else None
        except (ValueError, OverflowError):
            raise forms.ValidationError(render(Message("not_a_time"))) from None

    def prepare_value(self, value: Any) -> Any:
        return moments.clock_time(value) if isinstance(value, datetime) else value


class _OfPlan(Confirmation):
    """Said to a plan that is shown: its token goes with it."""

    plan_token = forms.CharField(required=False, strip=False, widget=forms.HiddenInput())


class AnswerForm(_OfPlan):
    PREFIX = "answer"

    comment = forms.CharField(
        label=_("Comment"),
        max_length=MAX_COMMENT,
        required=False,
        help_text=_("A rejection must say why."),
        widget=forms.Textarea({"rows": 2}),
    )


class OverrideForm(_OfPlan):
    PREFIX = "override"

    reason = forms.CharField(
        label=_("Reason"), max_length=MAX_COMMENT, help_text=_("Kept in the history, and sent with the callbacks.")
    )


class RescheduleForm(Confirmation):
    PREFIX = "reschedule"

    start_at = StartAt(label=_("Begin at"), help_text=_("Empty: as soon as nothing else holds it up."))
