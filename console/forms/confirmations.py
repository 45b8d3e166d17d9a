"""The forms of confirmations: what a person gives with a change that is hard to take back.

Browsers require the fields. The functions that carry out the change check the values and say what is wrong with them.
"""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from asset.environments import NONE
from microservice.deployments.notes import MAX_NOTE

from .fields import Words
from .targets import LabelsField

MAX_REASON = 500
_LITERAL = {"autocomplete": "off", "spellcheck": "false"}


def _reason(max_length: int = MAX_REASON, **more: Any) -> forms.CharField:
    return forms.CharField(label=_("Reason"), max_length=max_length, **more)


class Confirmation(forms.Form):
    PREFIX = ""  # of the ids of its fields: a page may have several confirmations

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **{"auto_id": f"{self.PREFIX}-%s", **more})

    def posted(self, name: str) -> Any:
        """Return the posted value, unchecked: "" or False if there is none."""
        value = self[name].value()
        return "" if value is None else value


class NoteForm(Confirmation):
    """Why a deployment was requested."""

    PREFIX = "edit"

    note = forms.CharField(label=_("Note"), max_length=MAX_NOTE, required=False)


class RetryForm(Confirmation):
    """Repeats what failed. `force` is shown where instances are in maintenance."""

    PREFIX = "retry"

    note = forms.CharField(label=_("Note"), max_length=MAX_NOTE, required=False)
    force = forms.BooleanField(label=_("Include hosts in maintenance"), required=False)


class DeleteVersionForm(Confirmation):
    PREFIX = "delete"

    reason = _reason(required=False)


class DeleteServiceForm(Confirmation):
    PREFIX = "delete"

    name = forms.CharField(widget=forms.TextInput(_LITERAL))

    def __init__(self, *args: Any, service: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["name"].label = gettext("Type the service name to confirm: %(service)s") % {"service": service}


class ForgetInstancesForm(Confirmation):
    """Part of the form `chosen`, which other buttons submit without a reason."""

    PREFIX = "forget"
    use_required_attribute = False

    reason = _reason(help_text=_("Kept in the history."), widget=forms.TextInput({"form": "chosen"}))


class RetryInstancesForm(Confirmation):
    """Part of the form `chosen`, as the one above; its names differ from those of the one below."""

    PREFIX = "again"

    note = forms.CharField(
        label=_("Note"), max_length=MAX_NOTE, required=False, widget=forms.TextInput({"form": "chosen"})
    )
    force = forms.BooleanField(
        label=_("Include hosts in maintenance"), required=False, widget=forms.CheckboxInput({"form": "chosen"})
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **{"prefix": self.PREFIX, **more})


class DeleteInstancesForm(Confirmation):
    """Part of the form `chosen`, as the one above."""

    PREFIX = "stop"

    note = forms.CharField(
        label=_("Note"), max_length=MAX_NOTE, required=False, widget=forms.TextInput({"form": "chosen"})
    )


class LabelChangeForm(Confirmation):
    """What chosen hosts get and lose. Part of the form `chosen`, as the ones above."""

    PREFIX = "change"

    add_labels = LabelsField(label=_("Add labels"), help_text=_("Such as zone=eu rack=4, quotes around a blank."))
    remove_labels = Words(
        label=_("Remove labels"),
        required=False,
        help_text=_("Names alone, such as zone rack."),
        widget=forms.TextInput({"form": "chosen", **_LITERAL}),
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["add_labels"].widget.attrs["form"] = "chosen"

    def clean_add_labels(self) -> dict[str, str]:
        """Return what was typed; a label without a value is added with an empty one only as `name=`."""
        found = self.cleaned_data["add_labels"]
        if without := [name for name, value in found.items() if value is None]:
            text = gettext("%(name)s has no value: write %(name)s=text.")
            raise forms.ValidationError(text, params={"name": without[0]})
        return found


class EnvironmentChangeForm(Confirmation):
    """Where chosen hosts come to be. Part of the form `chosen`, as the ones above; `environment` is a filter there."""

    PREFIX = "place"

    into = forms.ChoiceField(label=_("Environment"), widget=forms.Select({"form": "chosen"}))

    def __init__(self, *args: Any, names: Iterable[str], **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["into"].choices = [*((name, name) for name in names), (NONE, _("no environment"))]  # type: ignore[attr-defined]


class UnlockForm(Confirmation):
    """One for each locked instance of a page."""

    reason = _reason()

    def __init__(self, *args: Any, instance: int, **more: Any) -> None:
        super().__init__(*args, auto_id=f"unlock-{instance}-%s", **more)


class BuildForm(Confirmation):
    """Starts a build. `duplicate`: the commit is built already, so this must be confirmed."""

    PREFIX = "build"

    again = forms.BooleanField(required=False, widget=forms.HiddenInput())
    even_built = forms.BooleanField(label=_("Build even if this commit is already built"), required=False)

    def __init__(self, *args: Any, duplicate: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["even_built"].required = duplicate


class CancelBuildForm(Confirmation):
    PREFIX = "cancel"

    reason = _reason(required=False)


class EndAccessForm(Confirmation):
    PREFIX = "end"

    tokens = forms.BooleanField(label=_("Also revoke all tokens"), required=False, initial=True)


class MarkBadForm(Confirmation):
    PREFIX = "bad"

    reason = _reason(
        256,
        help_text=_(
            "API tokens and automation will no longer deploy it. Signed-in users still can, explicitly. Running "
            "instances are not changed."
        ),
    )


class ArchiveHostForm(Confirmation):
    PREFIX = "archive"

    forget = forms.BooleanField(
        label=_("Forget the instances"),
        required=False,
        help_text=_(
            "Deletes their version, port, tag, weight and notes, and ends running operations. Nothing changes on the "
            "machine: services that still run there keep running, unmonitored."
        ),
    )
    reason = _reason()


class TrustKeyForm(Confirmation):
    PREFIX = "trust"

    fingerprint = forms.CharField(
        label=_("Fingerprint of the key to trust"),
        strip=False,
        help_text=_(
            "The output of “ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub” on the host, or the host’s known_hosts "
            "line."
        ),
        widget=forms.Textarea({"class": "mono", "rows": 2, "placeholder": "SHA256:…", **_LITERAL}),
    )
