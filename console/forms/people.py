"""The forms for people, teams and the own account. The rules are those of `access.accounts`."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from access.roles import Role

from .fields import Form
from .settings import PLAIN, SecretLine

ROLES = [
    (Role.VIEWER, _("viewer: looks")),
    (Role.PUBLISHER, _("publisher: and publishes versions")),
    (Role.DEPLOYER, _("deployer: and deploys")),
    (Role.OWNER, _("owner: and changes the team's services and members")),
]


class PersonForm(Form):
    username = forms.CharField(
        label=_("User name"),
        max_length=150,
        widget=forms.TextInput(PLAIN),
        help_text=_("Letters, digits and @ . + - _"),
    )
    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)
    email = forms.CharField(label=_("E-mail"), max_length=254, required=False)
    password = SecretLine(label=_("Password"), help_text=_("Without one nobody can sign in with this name."))
    admin = forms.BooleanField(label=_("Administrator: may do everything, whatever the teams"), required=False)
    active = forms.BooleanField(label=_("May sign in and use tokens"), required=False, initial=True)
    service = forms.BooleanField(
        label=_("Service account: a pipeline, with tokens and roles, and without a password"), required=False
    )

    def __init__(self, *args, saved: bool = False, **more):
        super().__init__(*args, **more)
        if saved:
            del self.fields["service"]  # what an account is, it stays
            self.fields["password"].label = _("New password")
            self.fields["password"].help_text = _("Empty: it stays. Tell it to them; they change it under My account.")

    def values(self) -> dict[str, Any]:
        given = {name: self.cleaned_data[name] for name in self.base_fields if name in self.fields}
        if not given["password"]:
            del given["password"]
        return given


class OwnPassword(forms.CharField):
    """The reader's own password, once more."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Your own password"),
            required=False,
            strip=False,
            max_length=1000,
            widget=forms.PasswordInput({"autocomplete": "current-password"}),
            help_text=_(
                "You signed in more than ten minutes ago. It is needed for tokens, passwords and "
                "administrator's rights."
            ),
        )


class TeamForm(Form):
    name = forms.CharField(label=_("Name"), max_length=64, widget=forms.TextInput(PLAIN))
    description = forms.CharField(label=_("Description"), max_length=256, required=False)


class MemberForm(Form):
    user = forms.CharField(label=_("User name"), max_length=150, widget=forms.TextInput(PLAIN))
    role = forms.ChoiceField(label=_("Role"), choices=ROLES)


class PasswordForm(Form):
    old = forms.CharField(
        label=_("Password so far"), strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )
    password = forms.CharField(
        label=_("New password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=_("New password once more"), strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"})
    )

    tokens = forms.BooleanField(
        label=_("Revoke my tokens too"),
        required=False,
        initial=True,
        help_text=_("Recommended where somebody else may know the old password."),
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if {"password", "again"} <= set(given) and given["password"] != given["again"]:
            self.add_error("again", _("is not the same as the new password"))
        return given
