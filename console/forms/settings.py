"""The form of the settings page, one for each integration. The rules are those of `integrations.validation`."""

import json
import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from access.problems import Problem
from integrations import registry
from messages.rendering import render

from .fields import Form, SecretText, Words
from .services import add_problem

PLAIN = {"autocomplete": "off", "spellcheck": "false"}
KEPT = _("One is saved. Leave this empty to keep it; it is never shown again.")


class SecretLine(forms.CharField):
    """A secret of one line: never sent back; empty keeps the saved one."""

    def __init__(self, **more):
        widget = forms.PasswordInput({"autocomplete": "new-password"}, render_value=False)
        super().__init__(required=False, strip=False, widget=widget, **more)


def _line(label, hint="") -> forms.CharField:
    return forms.CharField(label=label, help_text=hint, required=False, widget=forms.TextInput(PLAIN))


def _pem(label, hint="") -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=hint,
        required=False,
        widget=forms.Textarea({"rows": 3, "placeholder": "-----BEGIN CERTIFICATE-----", **PLAIN}),
    )


class PartForm(Form):
    """What is set of one part. `value` is what the API would be given for it."""

    name = ""
    on = forms.BooleanField(label=_("Use it"), required=False)
    SECURITY: tuple[str, ...] = ()

    def __init__(self, data: Mapping | None, shown: Mapping[str, Any] | None):
        super().__init__(data, prefix=self.name, initial={"on": shown is not None, **(shown or {})})
        self.title = render(registry.title(self.name))
        self.without = render(registry.consequence(self.name))
        self.is_set = shown is not None
        for key in self.fields:
            if (shown or {}).get(f"{key}_set"):
                self.fields[key].help_text = KEPT

    def main(self):
        return [self[key] for key in self.fields if key not in self.SECURITY and key != "on"]

    def security(self):
        return [self[key] for key in self.SECURITY]

    @property
    def is_open(self) -> bool:
        """Whether its fields are to be seen without a click."""
        return bool(self.is_set or self.errors or (self.is_bound and self.data.get(self.add_prefix("on"))))

    def value(self) -> dict[str, Any] | None:
        """None where it is not used; else its fields, without the secrets that were left empty: those stay."""
        given = dict(self.cleaned_data)
        if not given.pop("on"):
            return None
        for key in registry.SECRETS & set(given):
            if not given[key]:
                del given[key]
        if self.initial.get("client_cert") and not given.get("client_cert"):
            given["client_key"] = ""  # it goes with its certificate
        return given


class TlsForm(PartForm):
    SECURITY = ("verify", "ca", "client_cert", "client_key")

    verify = forms.BooleanField(label=_("Check the server's certificate"), required=False, initial=True)
    ca = _pem(_("CA"), _("PEM. Empty: the CAs that this machine trusts."))
    client_cert = _pem(_("Client certificate"), _("PEM. Only where the server asks for one."))
    client_key = forms.CharField(
        label=_("Key of the client certificate"), required=False, widget=SecretText({"rows": 3, **PLAIN})
    )


class PackageStoreForm(TlsForm):
    name = "package_store"
    kind = forms.ChoiceField(label=_("Kind"), choices=[("local", _("a folder")), ("s3", "S3")])
    folder = _line(
        _("Folder"),
        _("A folder: its whole path. Web and worker machines share it. Packages are not moved when this revisions."),
    )
    endpoint = _line(_("S3: address"), _("Empty: Amazon's own."))
    bucket = _line(_("S3: bucket"))
    region = _line(_("S3: region"))
    # The store's word; a form's own prefix is set when it is made.
    prefix = _line(_("S3: folder in the bucket"))  # type: ignore[assignment]
    access_key = _line(_("S3: access key"))
    secret_key = SecretLine(label=_("S3: secret key"))


class ServerForm(TlsForm):
    url = _line(_("Address"))


class AccountForm(ServerForm):
    user = _line(_("User"))


_NAME = r'\s{0,9}"(?:[^"\\]|\\.){0,999}"\s{0,9}|[^="]*'
_BINDING = re.compile(rf"(?P<project>{_NAME})=(?P<team>{_NAME})\Z")


class Bindings(forms.CharField):
    """Which team builds which projects: a line for each, `project = team`. A name with = or blanks at its ends stands
    between double quotes, as in JSON."""

    def __init__(self):
        super().__init__(
            label=_("Projects of teams"),
            required=False,
            help_text=_(
                "A line for each, such as: red-team/* = red. The team * means everybody. Empty: every team builds all."
            ),
            widget=forms.Textarea({"rows": 3, **PLAIN}),
        )

    def clean(self, value):
        return [
            self._binding(number, line)
            for number, line in enumerate(super().clean(value).split("\n"), 1)
            if line.strip()
        ]

    def prepare_value(self, value):
        if not isinstance(value, list):
            return value
        return "\n".join(f"{self._shown(one['project'])} = {self._shown(one['team'])}" for one in value)

    @staticmethod
    def _binding(number: int, line: str) -> dict[str, str]:
        match = _BINDING.match(line)
        if match is None:  # without quotes the last = counts
            project, _sign, team = line.rpartition("=")
            return {"project": project.strip(), "team": team.strip()}
        try:
            return {name: json.loads(text) if '"' in text else text.strip() for name, text in match.groupdict().items()}
        except ValueError:
            raise forms.ValidationError(
                _("Line %(n)s has a quote that does not end, or an escape that JSON does not know."),
                params={"n": number},
            ) from None

    @staticmethod
    def _shown(name: str) -> str:
        plain = name == name.strip() and not set(name) & {"=", '"'}
        return name if plain else json.dumps(name, ensure_ascii=False)


class GitLabForm(ServerForm):
    name = "gitlab"
    token = SecretLine(label=_("Access token"), help_text=_("With the scope “api”."))
    webhook_secret = SecretLine(
        label=_("Webhook secret"),
        help_text=_("The secret token of GitLab's webhook for pipeline events, to /api/v1/builds/gitlab/webhook."),
    )
    projects = Bindings()


class JenkinsForm(AccountForm):
    name = "jenkins"
    token = SecretLine(label=_("API token"))
    webhook_secret = SecretLine(
        label=_("Webhook secret"), help_text=_("What the reports to /api/v1/builds/jenkins/webhook are signed with.")
    )
    projects = Bindings()


class RegistryForm(AccountForm):
    name = "registry"
    password = SecretLine(label=_("Password"))


class ProxiesForm(PartForm):
    name = "proxies"
    http = _line(_("For http://"))
    https = _line(_("For https://"))
    no_proxy = Words(
        label=_("Not for"),
        required=False,
        widget=forms.TextInput(PLAIN),
        help_text=_("Host names that are spoken to directly, with spaces between them."),
    )


FORMS = (PackageStoreForm, GitLabForm, JenkinsForm, RegistryForm, ProxiesForm)


def forms_of(data: Mapping | None, shown: Mapping[str, Any]) -> list[PartForm]:
    """A form for each part, with what `integrations.revisions.redacted` has of it."""
    return [form(data, shown[form.name]) for form in FORMS]


def add_problem_to_parts(found: list[PartForm], problem: Problem) -> None:
    """Puts what is wrong with `/part/field` at that field of that part's form."""
    for form in found:
        mine = [
            {**error, "pointer": error["pointer"].removeprefix(f"/{form.name}")}
            for error in problem.errors
            if error["pointer"].startswith(f"/{form.name}/")
        ]
        if mine:
            add_problem(form, Problem(problem.status, problem.code, problem.detail, errors=mine))
