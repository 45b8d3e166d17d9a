"""The forms of credentials. The rules are those of `asset.credentials`."""

from django import forms
from django.utils.translation import gettext_lazy as _

from asset.models import Credential

from .fields import Form, KeyFile, SecretText
from .services import terms


class CredentialForm(Form):
    must_hold_secret = True

    name = forms.CharField(label=_("Name"), max_length=64)
    kind = forms.ChoiceField(label=_("Kind"), choices=terms(Credential.Kind.choices))
    secret = forms.CharField(
        strip=False,
        required=False,
        label=_("Private key or password"),
        help_text=_("Encrypted at rest; never shown again."),
        widget=SecretText({"rows": 6, "spellcheck": "false", "autocomplete": "off"}),
    )
    key_file = KeyFile(label=_("Or the private key’s file"), help_text=_("Such as ~/.ssh/id_ed25519, not the .pub."))
    passphrase = forms.CharField(
        strip=False,
        required=False,
        label=_("Passphrase of the key"),
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )

    def clean(self) -> dict:
        """One of the two, as `secret`. What a browser chose as a file is gone when the page comes back: it says so."""
        given = super().clean() or self.cleaned_data
        text, of_file = given.get("secret", ""), given.pop("key_file", "")
        if text and of_file:
            self.add_error("secret", _("Give the text or the file, not both."))
        elif self.must_hold_secret and not text and not of_file and not self.errors:
            self.add_error("secret", _("Paste a private key or a password, or choose the key’s file."))
        elif self.errors and of_file:
            self.add_error("key_file", _("Choose the file again; browsers do not keep selected files."))
        if given.get("kind") == Credential.Kind.PASSWORD:
            text = text.removesuffix("\n")  # the end of the line that was copied
        return given | {"secret": of_file or text}


class CredentialChangeForm(CredentialForm):
    """As it was added; an empty secret stays as it is."""

    must_hold_secret = False

    test = forms.BooleanField(
        label=_("Test before saving"),
        required=False,
        help_text=_(
            "On up to 5 hosts that use it, within 10 seconds. It is saved only where none of them refuses it: put the "
            "new key in place there first."
        ),
    )

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.fields["secret"].required = False
        self.fields["secret"].help_text = _("Empty: it stays. Encrypted at rest; never shown again.")

    @property
    def replaces(self) -> bool:
        return bool(self.cleaned_data["secret"])

    def secrets(self) -> dict:
        return {name: self.cleaned_data[name] for name in ("kind", "secret", "passphrase")}

    def values(self) -> dict:
        """As `asset.credentials.change` takes them."""
        data = self.cleaned_data
        return {"name": data["name"], **(self.secrets() if self.replaces else {"kind": data["kind"]})}
