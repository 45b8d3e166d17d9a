"""The form of a callback. `callbacks.subscriptions` holds the rules."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from callbacks.models import EventType

from .fields import Form
from .settings import PLAIN, SecretLine


class Headers(forms.CharField):
    """`Name: value` lines as a mapping. Values may be passwords, so saved ones are never shown."""

    def __init__(self, **more: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea({"rows": 3, **PLAIN}), **more)

    def clean(self, value: Any) -> dict[str, str]:
        headers: dict[str, str] = {}
        for number, line in enumerate(super().clean(value).splitlines(), 1):
            if not line.strip():
                continue
            name, sign, text = line.partition(":")
            if not sign:
                raise forms.ValidationError(_("Line %(n)s has no “:”: write Name: value."), params={"n": number})
            headers[name.strip()] = text.strip()
        return headers


class CallbackForm(Form):
    url = forms.CharField(
        label=_("URL"),
        max_length=2000,
        widget=forms.URLInput({**PLAIN, "inputmode": "url"}),
        help_text=_("http:// or https://. Private addresses must be allowed under Settings → Callback receivers."),
    )
    events = forms.MultipleChoiceField(
        label=_("Events"),
        choices=EventType.choices,
        initial=EventType.values,
        widget=forms.CheckboxSelectMultiple,
    )
    headers = Headers(label=_("Custom headers"), help_text=_("One “Name: value” per line, at most 20."))
    without_headers = forms.BooleanField(label=_("Remove saved headers"), required=False)
    secret = SecretLine(
        label=_("Secret"), help_text=_("whsec_ followed by base64. Leave empty to generate one; it is shown once.")
    )
    new_secret = forms.BooleanField(label=_("Generate a new secret (shown once)"), required=False)
    active = forms.BooleanField(label=_("Enabled"), required=False, initial=True)

    def __init__(self, *args: Any, saved: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        if not saved:
            del self.fields["without_headers"], self.fields["new_secret"]
            return
        self.fields["headers"].help_text = _("Leave empty to keep the saved headers, which are not shown.")
        self.fields["secret"].help_text = _("Leave empty to keep the saved secret, which is not shown.")

    def values(self) -> dict[str, Any]:
        """Return the values for `callbacks.subscriptions`, without secrets that were left empty."""
        values = dict(self.cleaned_data)
        removes_headers = values.pop("without_headers", False)
        values.pop("new_secret", None)
        if not values["headers"] and not removes_headers:
            del values["headers"]
        if not values["secret"]:
            del values["secret"]
        return values
