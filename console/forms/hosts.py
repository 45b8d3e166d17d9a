"""The form of a host. `asset.validation` holds the rules."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from asset import pasted_keys
from messages.invalid import InvalidValue
from messages.rendering import render

from .choosers import Chooser, Choosers
from .environments import EnvironmentField, drop_if_none
from .fields import Form
from .services import encoding_field


class Labels(forms.CharField):
    """`name=text` lines as a mapping. Texts are kept as they are, with blanks and further “=”."""

    def __init__(self, **more: Any) -> None:
        widget = forms.Textarea({"rows": 3, "spellcheck": "false"})
        super().__init__(required=False, strip=False, widget=widget, **more)

    def clean(self, value: Any) -> dict[str, str]:
        labels: dict[str, str] = {}
        # Not splitlines: a text may contain U+2028, which splitlines takes for a line end.
        for number, line in enumerate(super().clean(value).split("\n"), 1):
            if not line.strip():
                continue
            name, sign, text = line.partition("=")
            if not sign:
                raise forms.ValidationError(_("Line %(n)s has no “=”: write name=text."), params={"n": number})
            if name.strip() in labels:
                raise forms.ValidationError(
                    _("%(name)s is repeated in line %(n)s."), params={"n": number, "name": name.strip()}
                )
            labels[name.strip()] = text
        return labels

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else value


class HostForm(Form):
    hostname = forms.CharField(label=_("Hostname"), max_length=253)
    ip = forms.CharField(
        label=_("Address"),
        max_length=253,
        help_text=_("IPv4, IPv6, or a name, resolved for each connection; the pinned host key identifies the host."),
    )
    port = forms.IntegerField(label=_("SSH port"), min_value=1, max_value=65535, initial=22)
    username = forms.CharField(label=_("SSH user"), max_length=64, initial="root")
    credential_id = Chooser("credential", label=_("Credential"), required=False, placeholder=_("none"))
    base_path = forms.CharField(label=_("Base path for services"), max_length=512, initial="/srv/services")
    sudo = forms.BooleanField(label=_("Run with sudo -n"), required=False)
    legacy_algorithms = forms.BooleanField(
        label=_("Allow legacy SSH algorithms"),
        required=False,
        help_text=_(
            "Also offers ssh-rsa, SHA-1 and CBC, as a last resort, to servers such as OpenSSH before 7.2. Weak: "
            "update the server if you can. “Check now” tells whether the host needs them."
        ),
    )
    encoding = encoding_field(
        _("Of command output on this host; a service can override it. Output is stored unchanged."),
        _("detect automatically (UTF-8 by default)"),
    )
    jump_host_id = Chooser("host", label=_("Jump host"), required=False, placeholder=_("none (direct connection)"))
    environment_id = EnvironmentField(
        label=_("Environment"),
        empty_label=pgettext_lazy("environment", "none"),
        help_text=_("Where it belongs, such as staging. A deployment stays within one environment."),
    )
    teams = Choosers(
        "team",
        label=_("Teams"),
        required=False,
        help_text=_("Restricts the host to these teams’ services and members. Without a team it is open to all."),
    )
    labels = Labels(label=_("Labels"), help_text=_("One name=text per line, for example zone=eu."))
    package_port = forms.IntegerField(
        label=_("Package port"),
        min_value=1024,
        max_value=65535,
        required=False,
        help_text=_(
            "For a jump host: hosts behind it fetch packages from it on this port, unencrypted, so each package is "
            "sent to it once. Leave empty to send packages to each host. “Check now” tests the port."
        ),
    )
    package_address = forms.GenericIPAddressField(
        label=_("Package address"),
        required=False,
        unpack_ipv4=True,
        help_text=_("How the hosts behind it reach it, if not at the address above."),
    )
    host_key = forms.CharField(
        label=_("Host key"),
        required=False,
        strip=False,
        help_text=_(
            "The output of “ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub” on the host, a fingerprint (SHA256:…), a "
            "known_hosts line, or the key (ssh-ed25519 AAAA…). Leave empty to compare fingerprints after the check."
        ),
        widget=forms.Textarea({"rows": 2, "spellcheck": "false", "autocomplete": "off"}),
    )
    description = forms.CharField(label=_("Description"), max_length=256, required=False)

    # A fingerprint entered instead of the key; the key that the host offers is compared with it.
    fingerprint = ""

    def __init__(self, *values: Any, **more: Any) -> None:
        super().__init__(*values, **more)
        drop_if_none(self, "environment_id")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        text = data.get("host_key", "")
        if not text.strip() or text == self.initial.get("host_key"):
            return data
        try:
            pasted = pasted_keys.read(text, (data.get("hostname", ""), data.get("ip", "")))
        except InvalidValue as error:
            self.add_error("host_key", render(error.reason))
            return data
        self.fingerprint = "" if pasted.key else text
        return data | {"host_key": pasted.key or self.initial.get("host_key", "")}

    def values(self) -> dict[str, Any]:
        """Return the values for `asset.hosts`."""
        data = dict(self.cleaned_data)
        for name in {"credential_id", "jump_host_id", "environment_id"} & data.keys():
            data[name] = data[name].pk if data[name] else None
        data["package_address"] = data["package_address"] or None
        return data
