"""A page's forms, and what a browser sends for each of them, by the rules of the HTML standard."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_NO_NEWLINES = {"text", "search", "url", "tel", "email", "password", "number"}  # what their sanitising takes out
_BUTTONS = {"submit", "button", "image", "reset"}


@dataclass
class Control:
    """`sends`: name and value, or nothing where it is not ticked, chosen or enabled."""

    kind: str
    name: str
    value: str = ""
    is_on: bool = True  # ticked; sent at all
    options: list[tuple[str, bool]] = field(default_factory=list)

    def sends(self) -> list[str]:
        if not self.is_on:
            return []
        if self.kind.startswith("select"):
            chosen = [value for value, is_chosen in self.options if is_chosen]
            if not chosen and self.kind == "select" and self.options:
                chosen = [self.options[0][0]]
            return chosen
        return [self.value]


@dataclass
class Form:
    """`method`, `action` as they are written; its controls in the page's order, without buttons and files."""

    id: str
    method: str
    action: str
    controls: list[Control] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def data(self) -> dict[str, list[str]]:
        """Return what is posted when nothing was changed: as lists, with the line ends that browsers send."""
        found: dict[str, list[str]] = {}
        for control in self.controls:
            for value in control.sends():
                found.setdefault(control.name, []).append(re.sub(r"\r\n?|\n", "\r\n", value))
        return found

    def has(self, name: str) -> bool:
        return any(control.name == name for control in self.controls)


def forms(page: str) -> list[Form]:
    reader = _Reader()
    reader.feed(re.sub(r"\r\n?", "\n", page))  # what arrives is normalised before anything else
    reader.close()
    for form_id, control in reader.elsewhere:
        for form in reader.forms:
            if form.id == form_id:
                form.controls.append(control)
    return reader.forms


def head(page: str) -> dict[str, str]:
    """Return the page's words outside its form: title, breadcrumbs, headings and the line below them."""
    found = {}
    for name, pattern in (
        ("title", r"<title>(.*?)</title>"),
        ("crumbs", r'<nav class="crumbs".*?</nav>'),
        ("heading", r"<h1.*?</h1>"),
        ("lead", r'<p class="lead.*?</p>'),
        ("marks", r'<div class="row wide">.*?</div>'),
    ):
        text = re.search(pattern, page, re.DOTALL)
        found[name] = " ".join(re.sub(r"<[^>]*>", " ", text[0]).split()) if text else ""
    return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.elsewhere: list[tuple[str, Control]] = []
        self._form: Form | None = None
        self._disabled: list[bool] = []
        self._text: list[str] | None = None
        self._open: Control | None = None
        self._option: tuple[str | None, bool, bool] | None = None

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        if tag == "form":
            self._form = Form(known.get("id") or "", (known.get("method") or "get").lower(), known.get("action") or "")
            self.forms.append(self._form)
        elif tag == "fieldset":
            self._disabled.append("disabled" in known)
        elif tag == "input":
            self._input(known)
        elif tag == "textarea":
            self._open, self._text = self._control("textarea", known), []
        elif tag == "select":
            self._open = self._control("select-multiple" if "multiple" in known else "select", known)
        elif tag == "option" and self._open is not None:
            self._option, self._text = (known.get("value"), "selected" in known, "disabled" in known), []
        elif tag == "button" and self._form is not None and (known.get("type") or "submit") == "submit":
            self._form.buttons.append((known.get("name") or "", known.get("value") or ""))

    def handle_endtag(self, tag):
        if tag == "form":
            self._form = None
        elif tag == "fieldset":
            self._disabled.pop()
        elif tag == "textarea" and self._open is not None:
            # The one newline right after the tag is no part of the value.
            self._open.value = "".join(self._text or []).removeprefix("\n")
            self._open = self._text = None
        elif tag == "option" and self._option is not None and self._open is not None:
            value, chosen, disabled = self._option
            text = " ".join("".join(self._text or []).split())
            if not disabled:
                self._open.options.append((text if value is None else value, chosen))
            self._option = self._text = None
        elif tag == "select":
            self._open = None

    def handle_data(self, data):
        if self._text is not None:
            self._text.append(data)

    def _input(self, known):
        kind = (known.get("type") or "text").lower()
        if kind in _BUTTONS or kind == "file":
            return
        control = self._control(kind, known)
        control.value = known.get("value") or ""
        if kind in ("checkbox", "radio"):
            control.value = known.get("value", "on") or ""
            control.is_on = control.is_on and "checked" in known
        elif kind in _NO_NEWLINES:
            control.value = re.sub(r"[\r\n]", "", control.value)
            if kind in ("url", "email"):
                control.value = control.value.strip("\t\n\f\r ")

    def _control(self, kind, known) -> Control:
        off = "disabled" in known or any(self._disabled) or not known.get("name")
        control = Control(kind, known.get("name") or "", is_on=not off)
        if known.get("form"):
            self.elsewhere.append((known["form"], control))
        elif self._form is not None:
            self._form.controls.append(control)
        return control
