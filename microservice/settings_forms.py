"""The form of the settings page: one part of the outside world each. The rules are those of `outside.rules`."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from access.problems import Problem
from outside import parts

from .forms import SecretText, blame

TITLES = {"package_store": _("Package store"), "gitlab": _("GitLab"), "jenkins": _("Jenkins"),
          "registry": _("Registry"), "proxies": _("Proxies")}
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
    return forms.CharField(label=label, help_text=hint, required=False,
                           widget=forms.Textarea({"rows": 3, "placeholder": "-----BEGIN CERTIFICATE-----", **PLAIN}))


class PartForm(forms.Form):
    """What is set of one part. `value` is what the API would be given for it."""

    name = ""
    on = forms.BooleanField(label=_("Use it"), required=False)
    SECURITY: tuple[str, ...] = ()

    def __init__(self, data: Mapping | None, shown: Mapping[str, Any] | None):
        initial = {"on": shown is not None, **(shown or {})}
        if isinstance(initial.get("no_proxy"), list):
            initial["no_proxy"] = " ".join(initial["no_proxy"])
        super().__init__(data, prefix=self.name, initial=initial)
        self.title = TITLES[self.name]
        self.without = parts.WITHOUT[self.name]
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
        for key in parts.SECRETS & set(given):
            if not given[key]:
                del given[key]
        if "client_cert" in given and not given["client_cert"]:
            given["client_key"] = ""
        return given


class TlsForm(PartForm):
    SECURITY = ("verify", "ca", "client_cert", "client_key")

    verify = forms.BooleanField(label=_("Check the server's certificate"), required=False, initial=True)
    ca = _pem(_("CA"), _("PEM. Empty: the CAs that this machine trusts."))
    client_cert = _pem(_("Client certificate"), _("PEM. Only where the server asks for one."))
    client_key = forms.CharField(label=_("Key of the client certificate"), required=False,
                                 widget=SecretText({"rows": 3, **PLAIN}))


class PackageStoreForm(TlsForm):
    name = "package_store"
    kind = forms.ChoiceField(label=_("Kind"), choices=[("local", _("a folder")), ("s3", "S3")])
    folder = _line(_("Folder"), _(
        "A folder: its whole path. Web and worker machines share it. Packages are not moved when this changes."))
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


class Bindings(forms.CharField):
    """Which team builds which projects: a line for each, `project = team`."""

    def __init__(self):
        super().__init__(label=_("Projects of teams"), required=False, help_text=_(
            "A line for each, such as: red-team/* = red. The team * means everybody. Empty: every team builds all."),
            widget=forms.Textarea({"rows": 3, **PLAIN}))

    def clean(self, value):
        lines = [line.rpartition("=") for line in super().clean(value).splitlines() if line.strip()]
        return [{"project": project.strip(), "team": team.strip()} for project, _sign, team in lines]

    def prepare_value(self, value):
        return "\n".join(f"{one['project']} = {one['team']}" for one in value) if isinstance(value, list) else value


class GitLabForm(ServerForm):
    name = "gitlab"
    token = SecretLine(label=_("Access token"), help_text=_("With the scope “api”."))
    webhook_secret = SecretLine(label=_("Webhook secret"), help_text=_(
        "The secret token of GitLab's webhook for pipeline events, to /api/v1/builds/gitlab/webhook."))
    projects = Bindings()


class JenkinsForm(AccountForm):
    name = "jenkins"
    token = SecretLine(label=_("API token"))
    webhook_secret = SecretLine(label=_("Webhook secret"), help_text=_(
        "What the reports to /api/v1/builds/jenkins/webhook are signed with."))
    projects = Bindings()


class RegistryForm(AccountForm):
    name = "registry"
    password = SecretLine(label=_("Password"))


class ProxiesForm(PartForm):
    name = "proxies"
    http = _line(_("For http://"))
    https = _line(_("For https://"))
    no_proxy = _line(_("Not for"), _("Host names that are spoken to directly, with spaces between them."))

    def clean_no_proxy(self) -> list[str]:
        return self.cleaned_data["no_proxy"].split()


FORMS = (PackageStoreForm, GitLabForm, JenkinsForm, RegistryForm, ProxiesForm)


def forms_of(data: Mapping | None, shown: Mapping[str, Any]) -> list[PartForm]:
    """A form for each part, with what `outside.rules.shown` says of it."""
    return [form(data, shown[form.name]) for form in FORMS]


def blame_parts(found: list[PartForm], problem: Problem) -> None:
    """Puts what is wrong with `/part/field` at that field of that part's form."""
    for form in found:
        mine = [
            {**error, "pointer": error["pointer"].removeprefix(f"/{form.name}")}
            for error in problem.errors
            if error["pointer"].startswith(f"/{form.name}/")
        ]
        if mine:
            blame(form, Problem(problem.status, problem.code, problem.detail, errors=mine))
