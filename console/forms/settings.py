"""The form of the settings page, one for each integration. The rules are those of `integrations.validation`."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from access.problems import FieldError, Problem
from integrations import registry
from integrations.docker import certificate_archive
from messages.rendering import render

from .fields import Form, SecretText, Words
from .services import add_problem

Files = MultiValueDict[str, UploadedFile]
PLAIN = {"autocomplete": "off", "spellcheck": "false"}
KEEP_SECRET = _("Leave empty to keep the saved one, which is never shown.")


class SecretLine(forms.CharField):
    """A one-line secret: never rendered; empty keeps the saved one."""

    def __init__(self, **more: Any) -> None:
        widget = forms.PasswordInput({"autocomplete": "new-password"}, render_value=False)
        super().__init__(required=False, strip=False, widget=widget, **more)


def _line(label: Any, hint: Any = "") -> forms.CharField:
    return forms.CharField(label=label, help_text=hint, required=False, widget=forms.TextInput(PLAIN))


def _pem(label: Any, hint: Any = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=hint,
        required=False,
        widget=forms.Textarea({"rows": 3, "placeholder": "-----BEGIN CERTIFICATE-----", **PLAIN}),
    )


class IntegrationForm(Form):
    """The settings of one integration. `value` returns what the API accepts for it."""

    name = ""
    on = forms.BooleanField(label=_("Enabled"), required=False)
    TLS_FIELDS: tuple[str, ...] = ()

    def __init__(
        self, data: Mapping[str, Any] | None, shown: Mapping[str, Any] | None, files: Files | None = None
    ) -> None:
        super().__init__(data, files, prefix=self.name, initial={"on": shown is not None, **(shown or {})})
        self.title = render(registry.title(self.name))
        self.without = render(registry.consequence(self.name))
        self.is_set = shown is not None
        for key in self.fields:
            if (shown or {}).get(f"{key}_set"):
                self.fields[key].help_text = KEEP_SECRET

    def main(self) -> list[forms.BoundField]:
        return [self[key] for key in self.fields if key not in self.TLS_FIELDS and key != "on"]

    def security(self) -> list[forms.BoundField]:
        return [self[key] for key in self.TLS_FIELDS]

    @property
    def is_open(self) -> bool:
        """Whether its fields are expanded."""
        return bool(self.is_set or self.errors or (self.is_bound and self.data.get(self.add_prefix("on"))))

    def value(self) -> dict[str, Any] | None:
        """Return the fields without secrets that were left empty, which keeps them; None if it is not enabled."""
        values = dict(self.cleaned_data)
        if not values.pop("on"):
            return None
        for key in registry.SECRETS & set(values):
            if not values[key]:
                del values[key]
        if self.initial.get("client_cert") and not values.get("client_cert"):
            values["client_key"] = ""  # removed with its certificate
        return values


class TlsForm(IntegrationForm):
    TLS_FIELDS: tuple[str, ...] = ("verify", "ca", "client_cert", "client_key")

    verify = forms.BooleanField(label=_("Verify the server certificate"), required=False, initial=True)
    ca = _pem(_("CA"), _("PEM. Leave empty to use the system’s CAs."))
    client_cert = _pem(_("Client certificate"), _("PEM. Only if the server requires one."))
    client_key = forms.CharField(
        label=_("Client certificate key"), required=False, widget=SecretText({"rows": 3, **PLAIN})
    )


class PackageStoreForm(TlsForm):
    name = "package_store"
    kind = forms.ChoiceField(label=_("Kind"), choices=[("local", _("local folder")), ("s3", "S3")])
    folder = _line(
        _("Folder"),
        _("Absolute path, shared by web and worker machines. Packages are not moved when it changes."),
    )
    endpoint = _line(_("S3 endpoint"), _("Leave empty for Amazon S3."))
    bucket = _line(_("S3 bucket"))
    region = _line(_("S3 region"))
    # The store's field; the form's own `prefix` is set on the instance.
    prefix = _line(_("S3 key prefix"))  # type: ignore[assignment]
    access_key = _line(_("S3 access key"))
    secret_key = SecretLine(label=_("S3 secret key"))


class ServerForm(TlsForm):
    url = _line(_("URL"))


class AccountForm(ServerForm):
    user = _line(_("User"))


_NAME = r'\s{0,9}"(?:[^"\\]|\\.){0,999}"\s{0,9}|[^="]*'
_BINDING = re.compile(rf"(?P<project>{_NAME})=(?P<team>{_NAME})\Z")


class Bindings(forms.CharField):
    """Which team builds which projects: `project = team` lines. Other names are quoted as in JSON."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Team projects"),
            required=False,
            help_text=_(
                "One per line, for example red-team/* = red. The team * means everyone. Leave empty to allow all teams."
            ),
            widget=forms.Textarea({"rows": 3, **PLAIN}),
        )

    def clean(self, value: Any) -> list[dict[str, str]]:
        return [
            self._binding(number, line)
            for number, line in enumerate(super().clean(value).split("\n"), 1)
            if line.strip()
        ]

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return "\n".join(f"{self._quoted(one['project'])} = {self._quoted(one['team'])}" for one in value)

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
                _("Line %(n)s has an unterminated quote or an invalid JSON escape."),
                params={"n": number},
            ) from None

    @staticmethod
    def _quoted(name: str) -> str:
        plain = name == name.strip() and not set(name) & {"=", '"'}
        return name if plain else json.dumps(name, ensure_ascii=False)


class GitLabForm(ServerForm):
    name = "gitlab"
    token = SecretLine(label=_("Access token"), help_text=_("Requires the “api” scope."))
    webhook_secret = SecretLine(
        label=_("Webhook secret"),
        help_text=_("The secret token of the GitLab webhook for pipeline events at /api/v1/builds/gitlab/webhook."),
    )
    projects = Bindings()


class JenkinsForm(AccountForm):
    name = "jenkins"
    token = SecretLine(label=_("API token"))
    webhook_secret = SecretLine(
        label=_("Webhook secret"), help_text=_("The key that signs requests to /api/v1/builds/jenkins/webhook.")
    )
    projects = Bindings()


class RegistryForm(TlsForm):
    name = "registry"
    url = _line(_("URL"), _("Of the registry itself, such as https://registry.example.com."))
    hosts = Words(
        label=_("Other host names"),
        required=False,
        widget=forms.TextInput(PLAIN),
        help_text=_(
            "Names in images that mean this registry too, with their ports, separated by spaces. The password is sent "
            "to them."
        ),
    )
    project = _line(_("Project"), _("Where images of services lie, such as team. Leave empty for the top."))
    user = _line(_("User"), _("A robot account that may pull and push, such as robot$ci."))
    password = SecretLine(label=_("Password"), help_text=_("Or an access token."))
    web_url = _line(
        _("Page of an image"),
        _("The address that images link to, with {host}, {name} and {digest}. Leave empty for https://{host}/{name}."),
    )


class CertificateArchive(forms.FileField):
    """An archive of certificates, as base64; "" without a file."""

    def clean(self, data: Any, initial: Any = None) -> str:
        chosen = super().clean(data, initial)
        if not chosen:
            return ""
        if chosen.size > certificate_archive.MAX_ARCHIVE:
            size = certificate_archive.BadArchive("certificate_archive.size", max=certificate_archive.MAX_ARCHIVE)
            raise forms.ValidationError(render(size.message))
        return base64.b64encode(chosen.read()).decode()


class DockerForm(TlsForm):
    name = "docker"
    TLS_FIELDS = ("archive", "tls", *TlsForm.TLS_FIELDS)

    url = _line(
        _("Address"),
        _("tcp://host:2376, or unix:///var/run/docker.sock for an engine on the machines of the web and workers."),
    )
    network = _line(
        _("Network of builds"),
        _("A network of the engine, or none. Leave empty for the engine’s own. The machine’s own is not allowed."),
    )
    archive = CertificateArchive(
        label=_("Certificates as one file"),
        required=False,
        widget=forms.FileInput(),
        help_text=_("A tar with ca.pem, cert.pem and key.pem. It replaces the three below."),
    )
    tls = forms.BooleanField(
        label=_("Speak TLS"),
        required=False,
        help_text=_("It is spoken in any case where there is a CA or a client certificate."),
    )


class ProxiesForm(IntegrationForm):
    name = "proxies"
    http = _line(_("For http://"))
    https = _line(_("For https://"))
    no_proxy = Words(
        label=_("Exceptions"),
        required=False,
        widget=forms.TextInput(PLAIN),
        help_text=_("Hostnames to connect to directly, separated by spaces."),
    )


class CallbacksForm(TlsForm):
    name = "callbacks"
    allowed = Words(
        label=_("Allowed private receivers"),
        required=False,
        widget=forms.Textarea({"rows": 3, "placeholder": "10.20.0.0/16", **PLAIN}),
        help_text=_(
            "Networks, addresses and host names (*.internal: every name below it), separated by spaces or lines. "
            "Public addresses are always allowed; loopback and link-local ones only by their own network."
        ),
    )
    use_proxy = forms.BooleanField(label=_("Use the proxies"), required=False)


FORMS = (PackageStoreForm, GitLabForm, JenkinsForm, RegistryForm, DockerForm, ProxiesForm, CallbacksForm)


def integration_forms(
    data: Mapping[str, Any] | None, shown: Mapping[str, Any], files: Files | None = None
) -> list[IntegrationForm]:
    """Return a form for each integration, with its values from `integrations.revisions.redacted`."""
    return [form(data, shown[form.name], files) for form in FORMS]


def add_problem_to_parts(integrations: list[IntegrationForm], problem: Problem) -> None:
    """Add the errors of `/integration/field` to that field of that integration's form."""
    for form in integrations:
        prefix = f"/{form.name}"
        errors = [
            FieldError(error.pointer.removeprefix(prefix), error.reason)
            for error in problem.field_errors
            if error.pointer.startswith(f"{prefix}/")
        ]
        if errors:
            add_problem(form, Problem(problem.status, problem.message, errors=errors))
