"""The forms of credentials. `asset.credentials` holds the rules."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from asset.models import Credential

from .fields import Form, KeyFile, SecretText
from .services import terms


class CredentialForm(Form):
    requires_secret = True

    name = forms.CharField(label=_("Name"), max_length=64)
    kind = forms.ChoiceField(label=_("Kind"), choices=terms(Credential.Kind.choices))
    secret = forms.CharField(
        strip=False,
        required=False,
        label=_("Private key or password"),
        help_text=_("Encrypted at rest and never shown."),
        widget=SecretText({"rows": 6, "spellcheck": "false", "autocomplete": "off"}),
    )
    key_file = KeyFile(label=_("Private key file"), help_text=_("For example ~/.ssh/id_ed25519, not the .pub file."))
    passphrase = forms.CharField(
        strip=False,
        required=False,
        label=_("Key passphrase"),
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        """Return the text or the file's content as `secret`. Browsers drop a chosen file on redisplay."""
        data = super().clean() or self.cleaned_data
        text, file_text = data.get("secret", ""), data.pop("key_file", "")
        if text and file_text:
            self.add_error("secret", _("Enter the text or choose a file, not both."))
        elif self.requires_secret and not text and not file_text and not self.errors:
            self.add_error("secret", _("Enter a private key or a password, or choose a key file."))
        elif self.errors and file_text:
            self.add_error("key_file", _("Choose the file again; the browser did not keep it."))
        if data.get("kind") == Credential.Kind.PASSWORD:
            text = text.removesuffix("\n")  # copied with the line
        return data | {"secret": file_text or text}


class CredentialChangeForm(CredentialForm):
    """The same fields; an empty secret keeps the saved one."""

    requires_secret = False

    test = forms.BooleanField(
        label=_("Test before saving"),
        required=False,
        help_text=_(
            "On up to 5 hosts that use it, within 10 seconds. Saved only if none refuses it, so install the new key "
            "on the hosts first."
        ),
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["secret"].required = False
        self.fields["secret"].help_text = _("Leave empty to keep the saved one. Encrypted at rest and never shown.")

    @property
    def replaces(self) -> bool:
        return bool(self.cleaned_data["secret"])

    def secrets(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("kind", "secret", "passphrase")}

    def values(self) -> dict[str, Any]:
        """Return the values for `asset.credentials.change`."""
        data = self.cleaned_data
        return {"name": data["name"], **(self.secrets() if self.replaces else {"kind": data["kind"]})}
