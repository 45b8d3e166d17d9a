"""The form of an import of hosts. The rules are those of `asset.imports`."""

from django import forms
from django.utils.translation import gettext_lazy as _

from access.problems import Problem
from asset import imports


class HostImportForm(forms.Form):
    """A file, or its text; what was read of a file stands in the text when the page is shown again."""

    file = forms.FileField(
        label=_("File"),
        required=False,
        help_text=_("CSV with the fields’ names on its first line, or a JSON list of objects. At most 1 MiB."),
        widget=forms.FileInput({"accept": ".csv,.json,text/csv,application/json"}),
    )
    text = forms.CharField(
        label=_("Or its text"),
        required=False,
        strip=False,
        widget=forms.Textarea({"rows": 12, "spellcheck": "false", "wrap": "off", "class": "mono"}),
    )

    def clean(self):
        super().clean()
        data = self.cleaned_data
        file, text = data.get("file"), data.get("text", "")
        if file is not None:
            try:
                text = file.read().decode("utf-8-sig")
            except UnicodeDecodeError:
                raise forms.ValidationError({"file": _("The file must be UTF-8.")}) from None
        if not text.strip():
            raise forms.ValidationError(_("Choose a file, or paste its text."))
        data["text"] = text
        return data

    def rows(self) -> list:
        """The rows of the file. Raises Problem where it is neither CSV nor JSON."""
        text: str = self.cleaned_data["text"]
        if text.lstrip()[:1] in ("[", "{"):
            try:
                return imports.from_json(text.encode())
            except Problem as problem:
                raise Problem(422, problem.code, problem.detail.replace("The body", "The text")) from problem
        return imports.from_csv(text)
