"""The forms for users, teams and the own account. `access.accounts` and `access.teams` hold the rules."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from access.callers import Caller
from access.roles import Role

from .choosers import Chooser
from .fields import Form
from .settings import PLAIN, SecretLine

ROLES = [
    (Role.VIEWER, _("Viewer: read only")),
    (Role.PUBLISHER, _("Publisher: viewer + publish versions")),
    (Role.DEPLOYER, _("Deployer: publisher + deploy")),
    (Role.OWNER, _("Owner: deployer + change the team's services and members")),
]


class PersonForm(Form):
    username = forms.CharField(
        label=_("Username"),
        max_length=150,
        widget=forms.TextInput(PLAIN),
        help_text=_("Letters, digits and @ . + - _"),
    )
    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)
    email = forms.CharField(label=_("Email"), max_length=254, required=False)
    password = SecretLine(label=_("Password"), help_text=_("Without a password, the user cannot sign in."))
    admin = forms.BooleanField(label=_("Administrator: full access, regardless of teams"), required=False)
    active = forms.BooleanField(label=_("Active: may sign in and use tokens"), required=False, initial=True)
    service = forms.BooleanField(
        label=_("Service account: for pipelines; has tokens and roles but no password"), required=False
    )

    def __init__(self, *args: Any, saved: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        if saved:
            del self.fields["service"]  # cannot change later
            self.fields["password"].label = _("New password")
            self.fields["password"].help_text = _(
                "Leave empty to keep the current password. The user can change it under My account."
            )

    def values(self) -> dict[str, Any]:
        values = {name: self.cleaned_data[name] for name in self.base_fields if name in self.fields}
        if not values["password"]:
            del values["password"]
        return values


class OwnPassword(forms.CharField):
    """The user's own password, to confirm a sensitive change."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Your password"),
            required=False,
            strip=False,
            max_length=1000,
            widget=forms.PasswordInput({"autocomplete": "current-password"}),
            help_text=_(
                "You signed in more than ten minutes ago. Changes to tokens, passwords and administrators require your "
                "password."
            ),
        )


class TeamForm(Form):
    name = forms.CharField(label=_("Name"), max_length=64, widget=forms.TextInput(PLAIN))
    description = forms.CharField(label=_("Description"), max_length=256, required=False)


class MemberForm(Form):
    # By name: an owner may add anyone whose username they know, and is proposed only the members of their own teams.
    user = Chooser("person", as_name=True, label=_("User"))
    role = forms.ChoiceField(label=_("Role"), choices=ROLES)

    def __init__(self, *args: Any, caller: Caller, **more: Any) -> None:
        super().__init__(*args, caller=caller, **more)
        if not caller.may("admin"):
            self.fields["user"].help_text = _("Members of your teams are proposed. Type the username of anyone else.")


class TeamServiceForm(Form):
    """Assigns a service to a team. Whether the caller may, `catalog` checks."""

    service = Chooser("unowned", label=_("Service without a team"))


class PasswordForm(Form):
    old = forms.CharField(
        label=_("Current password"), strip=False, widget=forms.PasswordInput({"autocomplete": "current-password"})
    )
    password = forms.CharField(
        label=_("New password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=_("Confirm new password"), strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"})
    )

    tokens = forms.BooleanField(
        label=_("Revoke my tokens too"),
        required=False,
        initial=True,
        help_text=_("Recommended if someone else may know the old password."),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if {"password", "again"} <= set(data) and data["password"] != data["again"]:
            self.add_error("again", _("The passwords do not match."))
        return data
