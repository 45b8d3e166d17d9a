"""The form that replaces a credential. The rules are those of `asset.credentials`."""

from django import forms
from django.utils.translation import gettext_lazy as _

from .forms import CredentialForm


class CredentialChangeForm(CredentialForm):
    """As it was added; an empty secret stays as it is."""

    must_hold_secret = False

    test = forms.BooleanField(
        label=_("Log in with it first"),
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
