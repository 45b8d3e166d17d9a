"""Labels of a host as people type them."""

from django import forms
from django.utils.translation import gettext_lazy as _


class Labels(forms.CharField):
    """`name=text` lines as an object. What a text holds stays as it is, blanks and further “=” too."""

    def __init__(self, **more):
        widget = forms.Textarea({"rows": 3, "spellcheck": "false"})
        super().__init__(required=False, strip=False, widget=widget, **more)

    def clean(self, value):
        found: dict[str, str] = {}
        # Not splitlines: a text may hold what it takes for the end of a line, such as U+2028.
        for number, line in enumerate(super().clean(value).replace("\r\n", "\n").split("\n"), 1):
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
