"""What a recipe may be: the description from which an image is built. Pure; dockerfile.py turns it into a Dockerfile.

    {"base", "maintainer", "env", "user", "workdir", "expose", "entrypoint", "cmd", "run", "files",
     "python": {"version", "from"}, "apt": {"sources", "packages"}, "pip": {"index", "packages"},
     "conda": {"channels", "packages"}}

Only `base` is required. `run` holds commands of those who may change the service's builds; everything else is data.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from access import url_userinfo
from access.problems import FieldError
from integrations.images import reference

RESERVED = ".deployer-image"  # the folder of the build context that holds our own files
SCRATCH = "scratch"  # the empty base, which no registry has
PYTHON_FROM = ("base", "apt", "conda")
MAX_ENTRIES, MAX_FILES, MAX_BYTES = 200, 50, 1024 * 1024
# A Dockerfile's line may have 64 KiB; a character takes up to six bytes in it.
MAX_COMMAND, MAX_VALUE, MAX_FILE = 8_192, 4_096, 256 * 1024

Check = Callable[[str, Any], Iterator[FieldError]]
_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_LINE = rf"[^{_CONTROL}]*"
_LINES = r"[^\x00\ud800-\udfff]*"
_URL = r"https?://[^\s\x00-\x1f\x7f-\uffff]+"
_PATH_WORD = r"[A-Za-z0-9._@%+=:,-]+"


def errors(recipe: object, *, has_repository: bool = True) -> list[FieldError]:
    """Return everything that is wrong with a recipe, each at its place. {} is no recipe, and right."""
    if recipe == {}:
        return []
    found = list(_recipe("/recipe", recipe))
    if not found and len(json.dumps(recipe)) > MAX_BYTES:
        return [FieldError("/recipe", "recipe_bytes", max=MAX_BYTES)]
    if not found and isinstance(recipe, dict) and not has_repository:
        files = enumerate(recipe.get("files", ()))
        found = [
            FieldError(f"/recipe/files/{n}/from", "recipe_needs_repository") for n, file in files if "from" in file
        ]
    return found


def normalised(recipe: object) -> Any:
    """Return a recipe without what is empty, and with LF line ends in its commands; anything else unchanged."""
    if not isinstance(recipe, dict):
        return recipe
    kept = {name: _normalised_section(name, value) for name, value in recipe.items()}
    return {name: value for name, value in kept.items() if value not in (None, "", [], {})}


def is_base_only(recipe: Mapping[str, Any]) -> bool:
    """Return whether it adds nothing to its base: then nothing is built, and the version is the base."""
    return set(recipe) == {"base"} and recipe["base"] != SCRATCH


def _normalised_section(name: str, value: Any) -> Any:
    if name in ("python", "apt", "pip", "conda") and isinstance(value, dict):
        value = {key: entry for key, entry in value.items() if (name, key, entry) != ("python", "from", "base")}
        return {key: entry for key, entry in value.items() if entry not in (None, "", [], {})}
    if name == "run" and isinstance(value, list):
        return [entry.replace("\r\n", "\n") if isinstance(entry, str) else entry for entry in value]
    return value


def _text(code: str, pattern: str, longest: int = 200, least: int = 1, *, is_content: bool = False) -> Check:
    """Check a text as a whole. `code`: the reason where it does not match. Only a file's content may hold what looks
    like a user or password in a URL: everything else stays in the image's history."""

    def check(at: str, value: Any) -> Iterator[FieldError]:
        if not isinstance(value, str) or not least <= len(value) <= longest:
            yield FieldError(at, "recipe_text", min=least, max=longest)
        elif not re.fullmatch(pattern, value):
            yield FieldError(at, code, value=_shown(value))
        elif not is_content and url_userinfo.hidden(value) != value:
            yield FieldError(at, "recipe_credentials")

    return check


def _list(entry: Check, most: int = MAX_ENTRIES) -> Check:
    def check(at: str, value: Any) -> Iterator[FieldError]:
        if not isinstance(value, list) or len(value) > most:
            yield FieldError(at, "recipe_list", max=most)
            return
        for number, one in enumerate(value):
            yield from entry(f"{at}/{number}", one)

    return check


def _object(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    def check(at: str, value: Any) -> Iterator[FieldError]:
        if not isinstance(value, dict):
            yield FieldError(at, "recipe_object", allowed=list(fields))
            return
        for name in required:
            if name not in value:
                yield FieldError(f"{at}/{name}", "recipe_required")
        for name, one in value.items():
            if name in fields:
                yield from fields[name](f"{at}/{name}", one)
            else:
                yield FieldError(f"{at}/{_pointer(name)}", "recipe_unknown", allowed=list(fields))

    return check


def _pointer(name: object) -> str:
    """Return a name as a part of a JSON pointer."""
    return str(name)[:64].replace("~", "~0").replace("/", "~1").encode("utf-8", "replace").decode()


def _shown(value: object) -> str:
    """Return the beginning of a wrong value, for people; of what is no text or number, its kind."""
    return ascii(str(value)[:60]) if isinstance(value, str | int | float) else type(value).__name__


def _base(at: str, value: Any) -> Iterator[FieldError]:
    if value == SCRATCH:
        return
    try:
        reference.parse(value if isinstance(value, str) else "")
    except reference.BadReference as error:
        yield FieldError(at, error.message)


def _path(at: str, value: Any) -> Iterator[FieldError]:
    """Check an absolute path in the image."""
    if not _is_path(value, rf"/|(?:/{_PATH_WORD})+/?", {"..", "."}):
        yield FieldError(at, "recipe_path", value=_shown(value))


def _from(at: str, value: Any) -> Iterator[FieldError]:
    """Check a relative path in the repository: nothing outside of it, nothing of git's or ours."""
    pattern = rf"{_PATH_WORD}(?:/{_PATH_WORD})*/?"
    if value != "." and not _is_path(value, pattern, {"..", ".", ".git", RESERVED}):
        yield FieldError(at, "recipe_from", value=_shown(value))


def _is_path(value: Any, form: str, without: set[str]) -> bool:
    is_text = isinstance(value, str) and len(value) <= 255
    return is_text and bool(re.fullmatch(form, value)) and not without & set(value.split("/"))


def _file(at: str, value: Any) -> Iterator[FieldError]:
    yield from _FILE(at, value)
    if not isinstance(value, dict):
        return
    if ("text" in value) == ("from" in value):
        yield FieldError(at, "recipe_file_source")
    if "from" in value and "mode" in value:
        yield FieldError(f"{at}/mode", "recipe_file_mode_from")
    if "text" in value and isinstance(value.get("path"), str) and value["path"].endswith("/"):
        yield FieldError(f"{at}/path", "recipe_file_folder")


def _port(at: str, value: Any) -> Iterator[FieldError]:
    number, _, protocol = str(value).partition("/")
    is_port = isinstance(value, int | str) and not isinstance(value, bool) and re.fullmatch(r"[1-9]\d{0,4}", number)
    if not is_port or int(number) > 65535 or protocol not in ("", "tcp", "udp", "sctp") or str(value).endswith("/"):
        yield FieldError(at, "recipe_port", value=_shown(value))


def _environment(at: str, value: Any) -> Iterator[FieldError]:
    if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
        yield FieldError(at, "recipe_map", max=MAX_ENTRIES)
        return
    for name, one in value.items():
        place = f"{at}/{_pointer(name)}"
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name):
            yield FieldError(place, "recipe_variable", value=_shown(name))
        yield from _VALUE(place, one)


def _origin(at: str, value: Any) -> Iterator[FieldError]:
    if value not in PYTHON_FROM:
        yield FieldError(at, "recipe_python_from", allowed=list(PYTHON_FROM))


_VALUE = _text("recipe_value", _LINE, MAX_VALUE, 0)
_ARGUMENTS = _list(_text("recipe_argument", _LINES, MAX_VALUE, 0))
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}"
_FILE = _object(
    {
        "path": _path,
        "text": _text("recipe_argument", _LINES, MAX_FILE, 0, is_content=True),
        "from": _from,
        "mode": _text("recipe_mode", r"0?[0-7]{3}", 4),
    },
    ("path",),
)
_apt = {
    "sources": _list(_text("recipe_apt_source", rf"deb(-src)? (\[[A-Za-z0-9=,:/._ -]+\] )?{_URL}(?: [!-~]+)+", 500)),
    "packages": _list(
        _text(
            "recipe_apt_package",
            r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9-]+)?(=[A-Za-z0-9][A-Za-z0-9.+:~-]*|/[A-Za-z0-9.-]+)?",
        )
    ),
}
_pip = {
    "index": _text("recipe_index", _URL, 500),
    "packages": _list(_text("recipe_pip_package", r"[A-Za-z0-9][ -~]*", 500)),
}
_conda = {
    "channels": _list(_text("recipe_conda_channel", rf"[A-Za-z0-9][A-Za-z0-9._/-]*|{_URL}", 500)),
    "packages": _list(_text("recipe_conda_package", r"[A-Za-z0-9_][ -~]*")),
}
_recipe = _object(
    {
        "base": _base,
        "maintainer": _text("recipe_value", _LINE),
        "python": _object(
            {"version": _text("recipe_python_version", r"[23](\.\d{1,3}){0,2}", 12), "from": _origin}, ("version",)
        ),
        "apt": _object(_apt),
        "pip": _object(_pip),
        "conda": _object(_conda),
        "files": _list(_file, MAX_FILES),
        "env": _environment,
        "run": _list(_text("recipe_argument", _LINES, MAX_COMMAND)),
        "user": _text("recipe_user", rf"{_NAME}(:{_NAME})?", 65),
        "workdir": _path,
        "expose": _list(_port),
        "entrypoint": _ARGUMENTS,
        "cmd": _ARGUMENTS,
    },
    ("base",),
)
