"""What all forms share: the line ends that browsers send, and fields that can show every saved value."""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from access.callers import Caller

from . import assignments
from .choosers import Chooser

_LINE_END = re.compile(r"\r\n?")
HIDDEN = "•••"  # shown instead of a value that the user may not see


def with_unix_lines(data: QueryDict) -> QueryDict:
    """Return posted data with LF line ends: browsers send CR LF, whatever was typed or shown.

    `views.decorators.page` applies it to every form. Files are not changed.
    """
    if not any("\r" in value for _name, values in data.lists() for value in values):
        return data
    converted = QueryDict(mutable=True, encoding=data.encoding)
    for name, values in data.lists():
        converted.setlist(name, [_LINE_END.sub("\n", value) for value in values])
    converted._mutable = False  # like Django's own
    return converted


def without_nul(text: str) -> str:
    """Return what is read from a request without a form: fields refuse NUL, which PostgreSQL cannot even be asked."""
    return text.replace("\0", "")


class Form(forms.Form):
    """A form whose text fields keep the saved value if they come back as shown.

    Browsers do not send back what the page contained: text inputs drop newlines, URL inputs surrounding blanks, and a
    field's `strip` removes more. So the posted value is compared with the shown one as a browser would send it, and
    only a difference counts as input. `caller`: who chooses; a form with choosers needs it.
    """

    def __init__(self, *args: Any, caller: Caller | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        for field in self.fields.values():
            if isinstance(field, Chooser):
                field.choose_as(caller)

    def _clean_fields(self) -> None:
        super()._clean_fields()  # type: ignore[misc]
        for name, field in self.fields.items():
            # A disabled field keeps its value whatever is posted, without being parsed as input.
            if field.disabled or self._is_as_shown(name, field):
                self.cleaned_data[name] = self.get_initial_for_field(field, name)
                self.errors.pop(name, None)

    def changed(self) -> dict[str, Any]:
        """Return the fields whose value differs from the one shown."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if value != self.get_initial_for_field(self.fields[name], name)
        }

    def _is_as_shown(self, name: str, field: forms.Field) -> bool:
        initial = self.get_initial_for_field(field, name)
        if isinstance(field, forms.MultipleChoiceField):  # checkboxes come in page order, not in saved order
            return bool(initial) and set(self._posted(name, field)) == set(initial)
        if not isinstance(field, forms.CharField) or initial is None:
            return False
        if isinstance(field.widget, forms.PasswordInput | SecretText):
            return False
        shown = field.widget.format_value(field.prepare_value(initial)) or ""
        return self._posted(name, field) == _as_posted(str(shown), field.widget)

    def _posted(self, name: str, field: forms.Field) -> Any:
        return field.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))


def _as_posted(shown: str, widget: forms.Widget) -> str:
    """Return the value of a control that contains `shown`, as a browser posts it."""
    if isinstance(widget, forms.Textarea):
        return _LINE_END.sub("\n", shown)
    line = re.sub(r"[\r\n]", "", shown)
    return line.strip("\t\f ") if getattr(widget, "input_type", "") in ("url", "email") else line


class JSONText(forms.CharField):
    """A JSON value in a text area; empty means `empty`."""

    widget = forms.Textarea

    def __init__(self, *, empty: str, rows: int = 4, **more: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea({"rows": rows, "spellcheck": "false"}), **more)
        self.empty = empty

    def clean(self, value: Any) -> Any:
        try:
            return json.loads(super().clean(value).strip() or self.empty)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(_("Not valid JSON: %(error)s"), params={"error": error}) from None

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str) or value is None:
            return value
        text = json.dumps(value, indent=2, ensure_ascii=False)
        # Surrogates cannot be in a page, and characters that reorder or end lines would be invisible.
        return "".join(
            f"\\u{ord(char):04x}" if char != "\n" and unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") else char
            for char in text
        )


class Variables(forms.CharField):
    """Variables as NAME=value lines, quoted where needed; see assignments.py."""

    REASONS = {
        "no_equals": _("Line %(n)s has no “=”: write NAME=value."),
        "quotes": _(
            "The value of %(name)s in line %(n)s begins with a quote, so it must end with the same quote at the end of "
            'a line. Write \\" for a quote inside.'
        ),
        "escape": _(
            "The value of %(name)s in line %(n)s contains an unknown escape. In double quotes, write \\\\ for a "
            "backslash, or use single quotes."
        ),
        "twice": _("%(name)s is repeated in line %(n)s."),
    }

    def __init__(self, **more: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea({"rows": 6, "spellcheck": "false"}), **more)

    def clean(self, value: Any) -> Any:
        try:
            return assignments.parse(super().clean(value))
        except assignments.ParseError as error:
            params = {"n": error.line, "name": error.name}
            raise forms.ValidationError(self.REASONS[error.code], params=params) from None

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        hidden = [f"{name}={HIDDEN}" for name, text in value.items() if text is None]
        return "\n".join(hidden) if hidden else assignments.render(value)


class KeyFile(forms.FileField):
    """The file of a private key, as text with LF line ends; "" without a file."""

    MAX_BYTES = 32_768  # the limit of a credential's secret

    def __init__(self, **more: Any) -> None:
        super().__init__(required=False, widget=forms.FileInput(), **more)

    def clean(self, data: Any, initial: Any = None) -> str:
        chosen = super().clean(data, initial)
        if not chosen:
            return ""
        if chosen.size > self.MAX_BYTES:
            raise forms.ValidationError(_("The file is too large for a private key."))
        content = chosen.read()
        try:
            text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        except UnicodeDecodeError:
            error = _("The file is binary. Convert a DER key: openssl pkey -inform DER -in FILE -out key.pem")
            raise forms.ValidationError(error) from None
        return _LINE_END.sub("\n", text)


class Words(forms.CharField):
    """A list of words, separated by spaces or newlines."""

    def clean(self, value: Any) -> Any:
        return super().clean(value).split()

    def prepare_value(self, value: Any) -> Any:
        return " ".join(value) if isinstance(value, list) else value


class SecretText(forms.Textarea):
    """A text area that is always rendered empty: a refused secret must be entered again."""

    def format_value(self, value: Any) -> str:
        return ""
