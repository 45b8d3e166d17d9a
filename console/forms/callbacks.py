"""The form of a callback. The rules are those of `callbacks.subscriptions`."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from callbacks.models import EventType

from .fields import Form
from .settings import PLAIN, SecretLine


class Headers(forms.CharField):
    """`Name: value` lines as an object. Values may be passwords, so what is saved never comes back."""

    def __init__(self, **more):
        super().__init__(required=False, widget=forms.Textarea({"rows": 3, **PLAIN}), **more)

    def clean(self, value):
        found: dict[str, str] = {}
        for number, line in enumerate(super().clean(value).splitlines(), 1):
            if not line.strip():
                continue
            name, sign, text = line.partition(":")
            if not sign:
                raise forms.ValidationError(_("Line %(n)s has no “:”: write Name: value."), params={"n": number})
            found[name.strip()] = text.strip()
        return found


class CallbackForm(Form):
    url = forms.CharField(
        label=_("Address"),
        max_length=2000,
        widget=forms.URLInput({**PLAIN, "inputmode": "url"}),
        help_text=_("http:// or https://. Private networks only where CALLBACK_ALLOWED_NETWORKS admits them."),
    )
    events = forms.MultipleChoiceField(
        label=_("It is told when"),
        choices=EventType.choices,
        initial=EventType.values,
        widget=forms.CheckboxSelectMultiple,
    )
    headers = Headers(label=_("Headers of its own"), help_text=_("Name: value, one a line; at most 20."))
    without_headers = forms.BooleanField(label=_("Send none of the saved headers any more"), required=False)
    secret = SecretLine(label=_("Secret"), help_text=_("whsec_ and base64. Empty: one is made, and shown once."))
    new_secret = forms.BooleanField(label=_("Make a new secret; it is shown once"), required=False)
    active = forms.BooleanField(label=_("In use"), required=False, initial=True)

    def __init__(self, *args, saved: bool = False, **more):
        super().__init__(*args, **more)
        if not saved:
            del self.fields["without_headers"], self.fields["new_secret"]
            return
        self.fields["headers"].help_text = _("Empty: those that are saved stay. They are not shown again.")
        self.fields["secret"].help_text = _("Empty: the one that is saved stays. It is not shown again.")

    def values(self) -> dict[str, Any]:
        """As `callbacks.subscriptions` takes them; what was left empty is left out."""
        given = dict(self.cleaned_data)
        without = given.pop("without_headers", False)
        given.pop("new_secret", None)
        if not given["headers"] and not without:
            del given["headers"]
        if not given["secret"]:
            del given["secret"]
        return given
