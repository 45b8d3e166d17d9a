"""The form of a service's recipe: one field for each part, lists as lines or words."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from access.problems import Problem, invalid_fields
from microservice.catalog import recipes
from microservice.catalog.recipes import PYTHON_FROM

from .fields import Form, JSONText, Variables, Words

# Where each field is in a recipe.
PLACES: dict[str, tuple[str, ...]] = {
    "base": ("base",),
    "maintainer": ("maintainer",),
    "python_version": ("python", "version"),
    "python_from": ("python", "from"),
    "apt_sources": ("apt", "sources"),
    "apt_packages": ("apt", "packages"),
    "pip_index": ("pip", "index"),
    "pip_packages": ("pip", "packages"),
    "conda_channels": ("conda", "channels"),
    "conda_packages": ("conda", "packages"),
    "own_files": ("files",),
    "env": ("env",),
    "run": ("run",),
    "workdir": ("workdir",),
    "user": ("user",),
    "expose": ("expose",),
    "entrypoint": ("entrypoint",),
    "cmd": ("cmd",),
}
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}


def shown(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe as the values of the form's fields; what is not in it is missing."""
    values = {}
    for name, (part, *rest) in PLACES.items():
        value = recipe.get(part)
        if rest and isinstance(value, Mapping):
            value = value.get(rest[0])
        elif rest:
            value = None
        if value is not None:
            values[name] = value
    return values


def recipe_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe of the form's values: the other way round."""
    recipe: dict[str, Any] = {}
    for name, (part, *rest) in PLACES.items():
        value = values.get(name)
        if value in (None, "", [], {}) or (name, value) == ("python_from", "base"):
            continue
        if rest:
            recipe.setdefault(part, {})[rest[0]] = value
        else:
            recipe[part] = value
    return recipe


def _path_of(pointer: str) -> list[str]:
    """Return what a refusal's pointer names inside of the recipe."""
    return pointer.split("/")[2:]


def _field_of(pointer: str) -> str:
    """Return the field that holds the place; "" where none does."""
    path = _path_of(pointer)
    return next((name for name, place in PLACES.items() if tuple(path[: len(place)]) == place), "")


class Lines(forms.CharField):
    """A list with one entry on each line, or with `blocks` between empty lines."""

    def __init__(self, *, blocks: bool = False, rows: int = 3, **more: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea({"rows": rows, "spellcheck": "false"}), **more)
        self.separator, self._between = ("\n\n", r"\n[ \t]*\n") if blocks else ("\n", r"\n")

    def clean(self, value: Any) -> Any:
        return [entry.strip("\n") for entry in re.split(self._between, super().clean(value)) if entry.strip()]

    def prepare_value(self, value: Any) -> Any:
        return self.separator.join(map(str, value)) if isinstance(value, list) else value


class Arguments(forms.CharField):
    """The words of a command, quoted as a shell would need them. No shell reads them: nothing is replaced in them."""

    def clean(self, value: Any) -> Any:
        try:
            return shlex.split(super().clean(value))
        except ValueError:
            raise forms.ValidationError(_("A quote is not closed.")) from None

    def prepare_value(self, value: Any) -> Any:
        return shlex.join(map(str, value)) if isinstance(value, list) else value


class Ports(Words):
    def clean(self, value: Any) -> Any:
        return [int(word) if re.fullmatch(r"[0-9]{1,9}", word) else word for word in super().clean(value)]

    def prepare_value(self, value: Any) -> Any:
        return " ".join(map(str, value)) if isinstance(value, list) else value


def _line(label: Any, hint: Any = "", **more: Any) -> forms.CharField:
    return forms.CharField(label=label, help_text=hint, required=False, widget=forms.TextInput(_PLAIN), **more)


def _words(label: Any, hint: Any = "") -> Words:
    return Words(label=label, help_text=hint, required=False, widget=forms.TextInput(_PLAIN))


def _arguments(label: Any, hint: Any = "") -> Arguments:
    return Arguments(label=label, help_text=hint, required=False, widget=forms.Textarea({"rows": 1, **_PLAIN}))


class RecipeForm(Form):
    """What a service's images are built from."""

    base = _line(_("Base image"), _("For example debian:12. Alone, without anything below, it is the version itself."))
    maintainer = _line(_("Maintainer"))
    apt_packages = _words(_("Debian packages"), _("Separated by spaces, for example: curl nginx=1.22.1-9."))
    apt_sources = Lines(
        label=_("Package sources"), rows=2, help_text=_("One line of sources.list each: deb https://… bookworm main")
    )
    python_version = _line(_("Python version"), _("For example 3.11. The build fails where the base has another one."))
    python_from = forms.ChoiceField(
        label=_("Python comes from"),
        required=False,
        choices=list(zip(PYTHON_FROM, (_("the base image"), _("a Debian package"), _("conda")), strict=True)),
    )
    pip_packages = Lines(label=_("Python packages"), help_text=_("One on each line, for example flask==3.0."))
    pip_index = _line(_("Package index"), _("A URL; leave empty for PyPI."))
    conda_packages = Lines(label=_("Conda packages"), help_text=_("One on each line. The base must have conda."))
    conda_channels = _words(_("Conda channels"))
    own_files = JSONText(
        label=_("Files"),
        empty="[]",
        rows=5,
        help_text=_(
            'A JSON list of {"path": "/etc/shop.conf", "text": "…", "mode": "0644"} or, from the repository, '
            '{"path": "/app/", "from": "src"}.'
        ),
    )
    run = Lines(
        label=_("Commands"),
        blocks=True,
        rows=5,
        help_text=_("Run by /bin/sh while the image is built. An empty line separates two commands."),
    )
    env = Variables(label=_("Environment"), help_text=_("One NAME=value per line. Never secrets."))
    workdir = _line(_("Working folder"), _("For commands, and when the container starts."))
    user = _line(_("User"), _("Who runs the program, for example app or 1000:1000. It must exist in the image."))
    expose = Ports(
        label=_("Ports"), required=False, widget=forms.TextInput(_PLAIN), help_text=_("For example: 8080 53/udp")
    )
    entrypoint = _arguments(_("Entry point"), _("The program, as words: no shell reads them."))
    cmd = _arguments(_("Arguments"), _("What the program gets, or the program itself without an entry point."))

    GROUPS = (
        (_("Base"), ("base", "maintainer")),
        (_("Packages"), ("apt_packages", "apt_sources")),
        (
            _("Python"),
            ("python_version", "python_from", "pip_packages", "pip_index", "conda_packages", "conda_channels"),
        ),
        (_("Files and commands"), ("own_files", "run", "env")),
        (_("Container"), ("workdir", "user", "expose", "entrypoint", "cmd")),
    )

    def groups(self) -> list[tuple[Any, list[forms.BoundField]]]:
        """Return the headings with their fields, for the template."""
        return [(title, [self[name] for name in names]) for title, names in self.GROUPS]

    def recipe(self) -> dict[str, Any]:
        """Return the recipe of the posted values; the saved one where they are as they were shown."""
        return recipe_of(self.cleaned_data)

    def add_errors_of_rest(self) -> None:
        """Add what is wrong with the recipe of the fields that could be read, where others could not: one answer names
        everything."""
        unread = set(self.errors)
        if found := [error for error in recipes.errors(self.recipe()) if _field_of(error.pointer) not in unread]:
            self.add_problem(invalid_fields(found))

    def add_problem(self, problem: Problem) -> None:
        """Add a refusal's reasons to the fields that hold the places that they name."""
        unplaced = not problem.errors
        for error in problem.errors:
            path = _path_of(str(error.get("pointer", "")))
            reason = str(error.get("reason", problem.detail))
            name = _field_of(str(error.get("pointer", "")))
            entry = "/".join(path[len(PLACES[name]) :]) if name else ""
            if name in ("own_files", "env") and entry:
                reason = f"{entry}: {reason}"
            self.add_error(name or None, reason)
        if unplaced:
            self.add_error(None, f"{problem.sentence} {problem.hint}".strip())
