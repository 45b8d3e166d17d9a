"""What all forms of the console share: the line ends that browsers send, and fields that can show whatever is saved."""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from . import assignments

_LINE_END = re.compile(r"\r\n?")
HIDDEN = "•••"  # what stands in the place of a value that the reader may not see


def with_unix_lines(data: QueryDict) -> QueryDict:
    """What was posted, with LF where browsers end lines: they send CR LF, whatever was typed or had been shown.

    For every form at once, in `views.guard.page`: no field has to think of it. A file is not touched.
    """
    if not any("\r" in value for _name, values in data.lists() for value in values):
        return data
    found = QueryDict(mutable=True, encoding=data.encoding)
    for name, values in data.lists():
        found.setlist(name, [_LINE_END.sub("\n", value) for value in values])
    found._mutable = False  # as what Django made of the request
    return found


class Form(forms.Form):
    """A form whose text fields keep what is saved where they come back as they were shown.

    What a browser sends is not what was put into the page: a line of text has no newlines, an address no blanks around
    it, and a field's own `strip` takes more away. So what came back is compared with what was shown, as a browser sends
    it; only what differs was typed.
    """

    def _clean_fields(self) -> None:
        super()._clean_fields()  # type: ignore[misc]
        for name, field in self.fields.items():
            # A disabled field keeps its value whatever is sent, and without being read as if it had been typed.
            if field.disabled or self._is_as_shown(name, field):
                self.cleaned_data[name] = self.get_initial_for_field(field, name)
                self.errors.pop(name, None)

    def changed(self) -> dict[str, Any]:
        """The fields whose value is another one than was shown: all that the rules have to be asked about."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if value != self.get_initial_for_field(self.fields[name], name)
        }

    def _is_as_shown(self, name: str, field: forms.Field) -> bool:
        initial = self.get_initial_for_field(field, name)
        if isinstance(field, forms.MultipleChoiceField):  # boxes come in the page's order, whichever order was saved
            return bool(initial) and set(self._sent_for(name, field)) == set(initial)
        if not isinstance(field, forms.CharField) or initial is None:
            return False
        if isinstance(field.widget, forms.PasswordInput | SecretText):
            return False
        shown = field.widget.format_value(field.prepare_value(initial)) or ""
        return self._sent_for(name, field) == _as_sent(str(shown), field.widget)

    def _sent_for(self, name: str, field: forms.Field) -> Any:
        return field.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))


def _as_sent(shown: str, widget: forms.Widget) -> str:
    """The value of a control that holds `shown`, as it arrives here."""
    if isinstance(widget, forms.Textarea):
        return _LINE_END.sub("\n", shown)
    line = re.sub(r"[\r\n]", "", shown)
    return line.strip("\t\f ") if getattr(widget, "input_type", "") in ("url", "email") else line


class JSONText(forms.CharField):
    """A JSON value in a text area; empty means `empty`."""

    widget = forms.Textarea

    def __init__(self, *, empty: str, rows: int = 4, **more):
        super().__init__(required=False, widget=forms.Textarea({"rows": rows, "spellcheck": "false"}), **more)
        self.nothing = empty

    def clean(self, value):
        try:
            return json.loads(super().clean(value).strip() or self.nothing)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(_("This is not JSON: %(error)s"), params={"error": error}) from None

    def prepare_value(self, value):
        if isinstance(value, str) or value is None:
            return value
        text = json.dumps(value, indent=2, ensure_ascii=False)
        # Halves of a pair cannot be in a page, and what reorders or ends lines could not be seen in it.
        return "".join(
            f"\\u{ord(one):04x}" if one != "\n" and unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") else one
            for one in text
        )


class Environment(forms.CharField):
    """Variables as lines of NAME=value, quoted where that is needed: see assignments.py."""

    REASONS = {
        "no_equals": _("Line %(n)s has no “=”: write NAME=value."),
        "quotes": _(
            "The value of %(name)s in line %(n)s begins with a quote: it must end with the same one, and nothing "
            'may follow on that line. Inside, write \\" for the quote itself.'
        ),
        "escape": _(
            "The value of %(name)s in line %(n)s holds a backslash that stands for nothing: between double quotes "
            "write \\\\ for a backslash, or put single quotes around the value."
        ),
        "twice": _("%(name)s is there a second time, in line %(n)s."),
    }

    def __init__(self, **more):
        super().__init__(required=False, widget=forms.Textarea({"rows": 6, "spellcheck": "false"}), **more)

    def clean(self, value):
        try:
            return assignments.parsed(super().clean(value))
        except assignments.Unreadable as error:
            found = {"n": error.line, "name": error.name}
            raise forms.ValidationError(self.REASONS[error.code], params=found) from None

    def prepare_value(self, value):
        if not isinstance(value, Mapping):
            return value
        hidden = [f"{name}={HIDDEN}" for name, text in value.items() if text is None]
        return "\n".join(hidden) if hidden else assignments.shown(value)


class KeyFile(forms.FileField):
    """The file of a private key, as its text with LF at the ends of lines; "" where none was chosen."""

    MOST = 32_768  # bytes; as many as a credential's secret may have

    def __init__(self, **more):
        super().__init__(required=False, widget=forms.FileInput(), **more)

    def clean(self, data, initial=None):
        chosen = super().clean(data, initial)
        if not chosen:
            return ""
        if chosen.size > self.MOST:
            raise forms.ValidationError(_("The file is too large for a private key."))
        content = chosen.read()
        try:
            text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        except UnicodeDecodeError:
            said = _("The file is binary. A key in DER form: openssl pkey -inform DER -in FILE -out key.pem")
            raise forms.ValidationError(said) from None
        return _LINE_END.sub("\n", text)


class Words(forms.CharField):
    """A list of words, with spaces or new lines between them."""

    def clean(self, value):
        return super().clean(value).split()

    def prepare_value(self, value):
        return " ".join(value) if isinstance(value, list) else value


class SecretText(forms.Textarea):
    """A text area that is always empty when it is shown: a refused secret is typed again, never sent back."""

    def format_value(self, value):
        return ""
