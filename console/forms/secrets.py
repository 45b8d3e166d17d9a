"""The form for what a service keeps secret, and the list of what it has: names and times, never a value."""

from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.utils.translation import gettext_lazy as _

from microservice.catalog import secrets
from microservice.models import MicroService

from .fields import Form, SecretText

OF = {
    "secrets": _("commands on hosts"),
    "build_secrets": _("the build command"),
    "build_password": _("git: password or token"),
    "build_key": _("git: private key"),
}


class SecretForm(Form):
    """One secret of a service or of its builds, or what its repository is fetched with. Never shown with a value."""

    of = forms.ChoiceField(label=_("For"), choices=list(OF.items()))
    name = forms.CharField(
        label=_("Name"),
        max_length=64,
        required=False,
        help_text=_("As in the environment. None for git."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    value = forms.CharField(
        label=_("Value"),
        strip=False,
        help_text=_(
            "Encrypted at rest; never shown again, and masked in output. At least 6 bytes; may have several lines."
        ),
        widget=SecretText({"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
    )

    def clean_value(self):
        return self.cleaned_data["value"].replace("\0", "")

    def change(self) -> dict:
        """As catalog.change_service takes it. Only of a form that is valid."""
        of, value = self.cleaned_data["of"], self.cleaned_data["value"]
        return {of: {self.cleaned_data["name"]: value} if of in secrets.MAPS else value}


@dataclass(frozen=True, slots=True)
class SavedSecret:
    """One that is there. `of`: its field; `name`: empty for what there is one of."""

    of: str
    label: str
    name: str
    changed: datetime

    def removal(self) -> dict:
        return {self.of: {self.name: None} if self.of in secrets.MAPS else ""}


def saved_secrets(service: MicroService) -> list[SavedSecret]:
    """All that the service keeps, in the order of the form's choices."""
    found = [(of, name, moment) for of in secrets.MAPS for name, moment in getattr(service, of).changed().items()]
    credential = service.build_credential.changed()
    found += [(of, "", credential[key]) for of, key in secrets.CREDENTIALS.items() if key in credential]
    return [SavedSecret(of, str(OF[of]), name, moment) for of, name, moment in found]
