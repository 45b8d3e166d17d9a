"""The part of a service's settings that fills in the commands of a container. Nothing of it is saved."""

from collections.abc import Collection
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from access.problems import invalid_fields
from microservice.catalog import container_commands, containers

from .fields import Form, Words
from .services import add_problem

PREFIX = "container"
_CHECKS = {
    "running": _("it stays up"),
    "port": _("it listens on a port"),
    "url": _("an address answers"),
    "command": _("a command in it succeeds"),
}
_UNTOUCHED = (
    containers.RESTARTS[0],
    containers.ENGINES[0],
    containers.CHECKS[0],
    "10",
)  # what the fields show at first


class Lines(forms.CharField):
    """A list of texts, one per line; empty lines and blanks around a line do not count."""

    def __init__(self, *, rows: int = 2, **more: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea({"rows": rows, "spellcheck": "false"}), **more)

    def clean(self, value: Any) -> Any:
        # Not splitlines: a line may contain U+2028.
        return tuple(line.strip() for line in super().clean(value).split("\n") if line.strip())


def _word(label: Any, hint: Any = "") -> forms.CharField:
    widget = forms.TextInput({"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(label=label, help_text=hint, max_length=1000, required=False, widget=widget)


class ContainerForm(Form):
    """What the commands of a container are made from. `known`: the variables and secrets of the service."""

    publish = Lines(
        label=_("Published ports"),
        help_text=_("One per line: port of the host:port of the container. $PORT is the instance’s port."),
    )
    volumes = Lines(
        label=_("Volumes"),
        help_text=_("One per line: folder of the host:folder of the container. $SHARED survives versions."),
    )
    variables = Words(
        label=_("Variables"),
        required=False,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Names from the environment or the secrets of this service, separated by spaces."),
    )
    check = forms.ChoiceField(label=_("The check passes if"), choices=list(_CHECKS.items()), required=False)
    check_value = _word(
        _("Port, address or command"), _("As the check needs it: a port in the container, a URL, or a command in it.")
    )
    restart = forms.ChoiceField(
        label=_("Restart policy"), choices=[(one, one) for one in containers.RESTARTS], required=False
    )
    memory = _word(_("Memory"), _("For example 512m."))
    cpus = _word(_("CPUs"), _("For example 1.5."))
    stop_seconds = forms.IntegerField(
        label=_("Time to stop (seconds)"), min_value=0, max_value=86_400, required=False, initial=10
    )
    engine = forms.ChoiceField(
        label=_("Engine on hosts"), choices=[(one, one) for one in containers.ENGINES], required=False
    )
    options = Lines(
        label=_("More options"), help_text=_("One option of docker run per line, with its value behind a “=”.")
    )
    arguments = Lines(label=_("Arguments"), help_text=_("For the image’s own program, one per line."))

    def __init__(self, *args: Any, known: Collection[str] = (), **more: Any) -> None:
        super().__init__(*args, **{"prefix": PREFIX, **more})
        self.known = known

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or {}
        given = {name: value for name, value in fields.items() if value not in ("", None)}
        given |= {"variables": tuple(fields.get("variables", ()))}
        self.container = containers.Container(**given)
        unclear = {"check_value", *self.errors} if "check" in self.errors else set(self.errors)
        found = containers.errors(self.container, self.known)
        wrong = [error for error in found if error.pointer.lstrip("/") not in unclear]
        if wrong:
            add_problem(self, invalid_fields(wrong))
        return fields

    def commands(self) -> dict[str, str]:
        """Return the three commands. Requires a valid form."""
        return container_commands.commands(self.container)

    @classmethod
    def as_typed(cls, data: QueryDict | None) -> "ContainerForm":
        """Return the form with what was typed and nothing about it: something else was asked for."""
        if data is None:
            return cls()
        typed = {name: data.get(f"{PREFIX}-{name}", "") for name in cls.base_fields}
        return cls(initial={name: text for name, text in typed.items() if text not in ("", *_UNTOUCHED)})
