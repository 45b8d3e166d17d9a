"""The form for a service's secrets, and the list of saved ones: names and times, never a value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from access.problems import FieldError
from microservice.catalog import secrets
from microservice.models import MicroService

from .fields import Form, SecretText

HOLDERS = {
    "secrets": _("commands on hosts"),
    "build_secrets": _("the build command"),
    "build_password": _("git: password or token"),
    "build_key": _("git: private key"),
}

OF_VALUE = ("secret_bytes", "secret_nul", "secret_short")  # reasons at the pointer of a name that are about its value


def field_of(error: FieldError) -> str:
    """Return the field of SecretForm that an error at a service's secrets is about."""
    _, _, name = error.pointer.strip("/").partition("/")
    return "name" if name and error.reason.code not in OF_VALUE else "value"


class SecretForm(Form):
    """One secret of a service or its builds, or the credential of its repository. Never rendered with a value."""

    of = forms.ChoiceField(label=_("For"), choices=list(HOLDERS.items()))
    name = forms.CharField(
        label=_("Name"),
        max_length=64,
        required=False,
        help_text=_("The environment variable. Leave empty for git."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    value = forms.CharField(
        label=_("Value"),
        strip=False,
        help_text=_("Encrypted at rest, never shown, and masked in output. At least 6 bytes; may span several lines."),
        widget=SecretText({"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
    )

    def change(self) -> dict[str, Any]:
        """Return the change for catalog.change_service. Requires a valid form."""
        of, value = self.cleaned_data["of"], self.cleaned_data["value"]
        return {of: {self.cleaned_data["name"]: value} if of in secrets.MAPS else value}


@dataclass(frozen=True, slots=True)
class SavedSecret:
    """A saved secret. `of`: its field; `name`: empty for a field with a single value."""

    of: str
    label: str
    name: str
    changed: datetime

    def removal(self) -> dict[str, Any]:
        return {self.of: {self.name: None} if self.of in secrets.MAPS else ""}


def saved_secrets(service: MicroService) -> list[SavedSecret]:
    """Return the service's secrets in the order of the form's choices."""
    rows = [(of, name, moment) for of in secrets.MAPS for name, moment in getattr(service, of).changed().items()]
    credential = service.build_credential.changed()
    rows += [(of, "", credential[key]) for of, key in secrets.CREDENTIALS.items() if key in credential]
    return [SavedSecret(of, str(HOLDERS[of]), name, moment) for of, name, moment in rows]
