"""The form of a host. The rules are those of `asset.validation`."""

from django import forms
from django.utils.translation import gettext_lazy as _

from access.models import Team
from asset import pasted_keys
from asset.models import Asset, Credential
from messages.invalid import InvalidValue
from messages.rendering import render

from .fields import Form
from .services import encoding as encoding_field


class Labels(forms.CharField):
    """`name=text` lines as an object. What a text holds stays as it is, blanks and further “=” too."""

    def __init__(self, **more):
        widget = forms.Textarea({"rows": 3, "spellcheck": "false"})
        super().__init__(required=False, strip=False, widget=widget, **more)

    def clean(self, value):
        found: dict[str, str] = {}
        # Not splitlines: a text may hold what it takes for the end of a line, such as U+2028.
        for number, line in enumerate(super().clean(value).split("\n"), 1):
            if not line.strip():
                continue
            name, sign, text = line.partition("=")
            if not sign:
                raise forms.ValidationError(_("Line %(n)s has no “=”: write name=text."), params={"n": number})
            if name.strip() in found:
                raise forms.ValidationError(
                    _("Line %(n)s names %(name)s once more."), params={"n": number, "name": name.strip()}
                )
            found[name.strip()] = text
        return found

    def prepare_value(self, value):
        return "\n".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else value


class HostForm(Form):
    hostname = forms.CharField(label=_("Host name"), max_length=253)
    ip = forms.CharField(
        label=_("Address"),
        max_length=253,
        help_text=_("IPv4, IPv6, or a name, which is resolved at each connection: the pinned key says whose it is."),
    )
    port = forms.IntegerField(label=_("SSH port"), min_value=1, max_value=65535, initial=22)
    username = forms.CharField(label=_("SSH user"), max_length=64, initial="root")
    credential_id = forms.ModelChoiceField(
        Credential.objects.defer("secret", "passphrase"),
        label=_("Credential"),
        required=False,
        empty_label=_("none yet"),
    )
    base_path = forms.CharField(label=_("Folder for services"), max_length=512, initial="/srv/services")
    sudo = forms.BooleanField(label=_("Run under sudo -n"), required=False)
    legacy_algorithms = forms.BooleanField(
        label=_("Allow legacy SSH algorithms"),
        required=False,
        help_text=_(
            "Offers ssh-rsa, SHA-1 and CBC too, after all others, to a server that has nothing better, such as OpenSSH "
            "before 7.2. They are weaker: update the server where you can. “Check now” says whether it needs them."
        ),
    )
    encoding = encoding_field(
        _("Of what commands print there; a service may say its own. The bytes are kept as they come."),
        _("UTF-8, or what is recognised beyond doubt"),
    )
    jump_host_id = forms.ModelChoiceField(
        Asset.objects.all(), label=_("Reached through"), required=False, empty_label=_("directly")
    )
    teams = forms.ModelMultipleChoiceField(
        Team.objects.all(),
        label=_("Teams"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Only services of these teams come here, and only their members see it. None: it is everybody’s."),
    )
    labels = Labels(label=_("Labels"), help_text=_("name=text, one a line, such as zone=eu."))
    package_port = forms.IntegerField(
        label=_("Port for packages"),
        min_value=1024,
        max_value=65535,
        required=False,
        help_text=_(
            "For a jump host: hosts behind it fetch packages from it on this port, unencrypted, so that each package "
            "crosses the line to it once. Empty: all of them get it over that line. “Check now” tries it."
        ),
    )
    package_address = forms.GenericIPAddressField(
        label=_("Address for packages"),
        required=False,
        unpack_ipv4=True,
        help_text=_("Where the hosts behind it find it, if not at its address above."),
    )
    host_key = forms.CharField(
        label=_("Host key"),
        required=False,
        strip=False,
        help_text=_(
            "What “ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub” prints on the host, a fingerprint (SHA256:…), a "
            "line of known_hosts, or the key (ssh-ed25519 AAAA…). Leave it empty to compare after the check."
        ),
        widget=forms.Textarea({"rows": 2, "spellcheck": "false", "autocomplete": "off"}),
    )
    description = forms.CharField(label=_("Description"), max_length=256, required=False)

    # A fingerprint that was given in the place of the key: what the host offers is compared with it.
    fingerprint = ""

    def clean(self) -> dict:
        given = super().clean() or self.cleaned_data
        text = given.get("host_key", "")
        if not text.strip() or text == self.initial.get("host_key"):
            return given
        try:
            found = pasted_keys.read(text, (given.get("hostname", ""), given.get("ip", "")))
        except InvalidValue as error:
            self.add_error("host_key", render(error.reason))
            return given
        self.fingerprint = "" if found.key else text
        return given | {"host_key": found.key or self.initial.get("host_key", "")}

    def values(self) -> dict:
        """As `asset.hosts` takes them."""
        data = dict(self.cleaned_data)
        for name in ("credential_id", "jump_host_id"):
            data[name] = data[name].pk if data[name] else None
        data["teams"] = [team.pk for team in data["teams"]]
        data["package_address"] = data["package_address"] or None
        return data
