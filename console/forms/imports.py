"""The form for importing hosts. `asset.imports` holds the rules."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from access.problems import Problem, invalid
from asset import imports


class HostImportForm(forms.Form):
    """A file or its text; the text contains the file's content when the page is shown again."""

    file = forms.FileField(
        label=_("File"),
        required=False,
        help_text=_("CSV with field names in the first line, or a JSON list of objects. At most 1 MiB."),
        widget=forms.FileInput({"accept": ".csv,.json,text/csv,application/json"}),
    )
    text = forms.CharField(
        label=_("Or text"),
        required=False,
        strip=False,
        widget=forms.Textarea({"rows": 12, "spellcheck": "false", "wrap": "off", "class": "mono"}),
    )

    def clean(self) -> dict[str, Any]:
        super().clean()
        data = self.cleaned_data
        file, text = data.get("file"), data.get("text", "")
        if file is not None:
            try:
                text = file.read().decode("utf-8-sig")
            except UnicodeDecodeError:
                raise forms.ValidationError({"file": _("The file must be UTF-8.")}) from None
        if not text.strip():
            raise forms.ValidationError(_("Choose a file or enter its text."))
        data["text"] = text
        return data

    def rows(self) -> list[Any]:
        """Return the rows. Raise Problem if the text is neither CSV nor JSON."""
        text: str = self.cleaned_data["text"]
        if text.lstrip()[:1] in ("[", "{"):
            try:
                return imports.from_json(text.encode())
            except Problem as problem:
                if problem.code != "not_json":
                    raise
                raise invalid("/text", "text_not_json") from problem
        return imports.from_csv(text)
