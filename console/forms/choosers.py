"""Fields in which one or several existing rows are chosen by name.

The text field finds names while its user types (static/js/chooser.js); without scripts, the name is typed. What does
not exist yet is made in a dialog, by the page that always makes it, and comes back chosen. Without scripts, that page
opens beside the form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from access.callers import Caller

from ..queries import choices

MAX_NAME = 253  # of a host; all others are shorter
MORE = "_more"  # ends the name of the field in which one more is typed


@dataclass(frozen=True, slots=True)
class Making:
    """Where a row of this kind is made, who may do it, and what the others are told."""

    page: str
    label: Any
    right: str = "admin"
    anywhere: bool = False  # an owner of any team may
    only: Any = ""

    def allowed(self, caller: Caller) -> bool:
        return caller.may_anywhere(self.right) if self.anywhere else caller.may(self.right)


_SERVICE = Making(
    "service_new",
    _("New service…"),
    anywhere=True,
    only=_("Only administrators and owners of a team can add services."),
)
MAKING = {
    "credential": Making("credentials", _("New credential…"), only=_("Only administrators can add credentials.")),
    "host": Making("host_new", _("New host…"), only=_("Only administrators can add hosts.")),
    "person": Making("people", _("New user…"), only=_("Only administrators can add users.")),
    "service": _SERVICE,
    "team": Making("teams", _("New team…"), only=_("Only administrators can add teams.")),
    "unowned": _SERVICE,
}
UNKNOWN = {
    "credential": _("There is no credential “%(name)s”."),
    "host": _("There is no host “%(name)s” that you may see."),
    "person": _("There is no user “%(name)s”."),
    "service": _("There is no service “%(name)s” that you may see."),
    "team": _("There is no team “%(name)s” that you may see."),
    "unowned": _("There is no service “%(name)s” without a team."),
}


class ChooserInput(forms.TextInput):
    """The control of a chooser. The field tells it who chooses."""

    def __init__(self, kind: str, makes: bool, attrs: Mapping[str, Any]) -> None:
        super().__init__({"autocomplete": "off", "spellcheck": "false", **attrs})
        self.kind, self.makes = kind, makes
        self.caller: Caller | None = None

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        return self._with_making(super().render(name, value, attrs, renderer))

    def _with_making(self, control: SafeString, **more: Any) -> SafeString:
        making = MAKING[self.kind] if self.makes else None
        context = {
            "control": control,
            "finds": reverse("console:choices", args=[self.kind]),
            "making": making,
            "makes": reverse(f"console:{making.page}") if making else "",
            "may_make": bool(making and self.caller and making.allowed(self.caller)),
            **more,
        }
        return render_to_string("chooser.html", context)


class ChoosersInput(ChooserInput):
    """Boxes of what is chosen so far, and the text field for one more."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        names = value if isinstance(value, Typed) else Typed(value or ())
        control = forms.TextInput.render(self, f"{name}{MORE}", names.more, attrs, renderer)
        return self._with_making(control, many=name, chosen=list(names))

    def use_required_attribute(self, initial: Any) -> bool:
        return False  # the field may be empty where a box is ticked

    def value_from_datadict(self, data: Any, files: Any, name: str) -> "Typed":
        names = data.getlist(name) if hasattr(data, "getlist") else data.get(name) or []
        names = [names] if isinstance(names, str) else names
        return Typed((one for one in names if one), data.get(f"{name}{MORE}") or "")

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False  # as checkboxes: none is sent where none is ticked


class Typed(list[str]):
    """The ticked names, and `more`: what is typed in the field for one more."""

    def __init__(self, names: Any, more: str = "") -> None:
        super().__init__(names)
        self.more = more


class Chooser(forms.CharField):
    """Choose one row of `choices.KINDS`. Valid: the row, or None.

    `as_name`: its name as text instead, which the function that is called looks up: for names that are not proposed to
    everyone who may enter them. `makes`: whether one can be made from here.
    """

    input: type[ChooserInput] = ChooserInput

    def __init__(
        self,
        kind: str,
        *,
        as_name: bool = False,
        makes: bool = True,
        placeholder: Any = "",
        attributes: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        attributes = {**({"placeholder": placeholder} if placeholder else {}), **(attributes or {})}
        super().__init__(max_length=MAX_NAME, widget=self.input(kind, makes, attributes), **more)
        self.kind, self.as_name = kind, as_name
        self.caller: Caller | None = None

    def choose_as(self, caller: Caller | None) -> None:
        """Set who chooses. `Form` does it for every chooser."""
        self.caller = self.widget.caller = caller

    def prepare_value(self, value: Any) -> Any:
        return choices.KINDS[self.kind].name_of(value) if hasattr(value, "pk") else value

    def clean(self, value: Any) -> Any:
        name = super().clean(value)
        if self.as_name or not name:
            return name if self.as_name else None
        row = choices.chosen(self._caller(), self.kind, name)
        if row is None:
            raise self._unknown(name)
        return row

    def _caller(self) -> Caller:
        if self.caller is None:
            raise TypeError("a form with a chooser needs its caller")
        return self.caller

    def _unknown(self, name: str) -> forms.ValidationError:
        errors = [forms.ValidationError(UNKNOWN[self.kind], params={"name": name})]
        if similar := choices.similar(self._caller(), self.kind, name):
            errors.append(forms.ValidationError(_("Similar names: %(names)s."), params={"names": ", ".join(similar)}))
        return forms.ValidationError(errors)


class Choosers(Chooser):
    """Choose any number of rows. Valid: their names, each once."""

    input = ChoosersInput

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, Typed) else [super(Choosers, self).prepare_value(one) for one in value or ()]

    def clean(self, value: Any) -> list[str]:
        typed = [*value, value.more] if isinstance(value, Typed) else list(value or ())
        names = list(dict.fromkeys(name for one in typed if (name := forms.CharField.clean(self._one, one))))
        if self.required and not names:
            raise forms.ValidationError(self.error_messages["required"], code="required")
        if unknown := choices.unknown(self._caller(), self.kind, names):
            raise self._unknown(unknown[0])
        return names

    @property
    def _one(self) -> forms.CharField:
        return forms.CharField(max_length=MAX_NAME, required=False)
