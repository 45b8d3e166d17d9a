"""What the code says to people: calls of gettext, words of the API, and sentences of the rules.

A sentence of the rules is English wherever it goes; `console.language.told` says it in the reader's
language. It is found here by its look: a text with a space between words, in a module whose texts reach a page. The
names and numbers in it become {0}, {1} ….
"""

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .found import ROOT, Found

APPS = ("access", "asset", "microservice", "builds", "outside", "callbacks", "deployer")
# Where no text is for a page: machines, logs, command lines, SQL and shell; the API, whose texts stay English.
_SILENT = re.compile(
    r"/(migrations|management|api|runner|models)/|/(admin|models|urls|apps|settings|environment|logs|broker|codes|health|claims"
    r"|enqueue|events|progress|hub|terminal|advance|wake|tasks|celery|wsgi|program|reports"
    r"|recovery|status|security|advice|chain|bulk|plain|database_url|broker_url|cause|loop|consumer|listening|watchdog"
    r"|pool|connection_settings)\.py$|/postgresql/"
)
_SENTENCE = re.compile(r"[A-Za-z’']{2,},? [a-z{(]|\} [a-z]{2}|\} \(")
_NO_SENTENCE = re.compile(
    r"^(SELECT|INSERT|UPDATE|JOIN|CASE|CAST|Bearer|Basic|git|exec|export|console|\{0\} \{1\}) "
    r"|^(cd|chmod|ip|mount|route|!sh|PRAGMA|FOR NO KEY|7z|dpkg-deb|unrar|zcat|tar -czf|(lz4|lzip|lzop|xz|zstd) -dc) "
    r"|^-----|\\[dSWZ]|\.\*"
    r"|[$\n]|</|\(\?|\(ROW_NUMBER|%s|\|\| true$"
    # what one text is looked for in another, or is shown in a debugger
    r"|^(Mask\(.*|exit status \d+:|annot fork|Resource temporarily unavailable| more like it)$"
)
_ONE, _MANY = {"gettext", "gettext_lazy", "gettext_noop", "_"}, {"ngettext", "ngettext_lazy"}
_ONE_IN, _MANY_IN = {"pgettext", "pgettext_lazy"}, {"npgettext", "npgettext_lazy"}
_ANY = _ONE | _MANY | _ONE_IN | _MANY_IN
# The first argument of what writes the history is an action, the second a kind of thing: both are words of the API.
_RECORDS = {"record", "record_alike"}
_NAMED = re.compile(r"\{[a-z]+\}")
_WORDS = {"WORDS", "SCOPES"}
_TOLD = {"MicroService", "MicroServiceVersion", "MicroServiceInstance", "Asset", "Credential", "Callback", "Team"}
_SHELL = re.compile(r"""_(?:detail|is)=(?:"([^"]*)"|'([^']*)')""")
_SHELL_VALUE = re.compile(r"\$\(\(.*?\)\)|\$\{[^}]*\}|\$\w+")
_LOGS = {"log", "logger", "logging", "traces"}

_SCRIPT = re.compile(
    r"""\bgettext\(\s*"((?:[^"\\]|\\.)*)"\s*\)|\bngettext\(\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)\""""
)


def paths() -> list[Path]:
    return sorted(path for app in APPS for path in (ROOT / app).rglob("*.py"))


def messages(path: Path) -> Iterator[Found]:
    """Every text of a Python file that some page may show."""
    place = str(path.relative_to(ROOT))
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        at = f"{place}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            yield from _call(node, at)
        elif isinstance(node, ast.ClassDef):
            yield from _labels(node, at)
            yield from _fields(node, at)
        elif isinstance(node, ast.Assign) and _name(node.targets[0]) in _WORDS and isinstance(node.value, ast.Tuple):
            yield from (Found(_text(word), context="term", place=at) for word in node.value.elts)
    if not _SILENT.search(f"/{place}"):
        yield from _sentences(tree, place)


def runner() -> Iterator[Found]:
    """What the program on the host says of a step: what it found, and what was wrong."""
    for path in sorted((ROOT / "deployer/engine/runner").glob("*.sh")):
        for found in _SHELL.finditer(path.read_text()):
            numbers = itertools.count()
            text = _SHELL_VALUE.sub(lambda _found, n=numbers: f"{{{next(n)}}}", found[1] or found[2] or "")
            if re.search(r"[a-z]{2,} [a-z{(]|\} [a-z]{2}", text):
                yield Found(text, place=str(path.relative_to(ROOT)))


def scripts() -> Iterator[Found]:
    """What the page's scripts say."""
    for path in sorted((ROOT / "static/js").rglob("*.js")):
        text = path.read_text()
        for found in _SCRIPT.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Found(found[1] or found[2], found[3] or "", place=f"{path.relative_to(ROOT)}:{line}")


def _call(node: ast.Call, at: str) -> Iterator[Found]:
    name, said = _name(node.func), [_text(argument) for argument in node.args]
    if name in _ONE and said and said[0]:
        yield Found(said[0], place=at)
    elif name in _MANY and len(said) > 1 and said[0] and said[1]:
        yield Found(said[0], said[1], place=at)
    elif name in _ONE_IN and len(said) > 1 and said[0] and said[1]:
        yield Found(said[1], context=said[0], place=at)
    elif name in _MANY_IN and len(said) > 2 and said[0] and said[1] and said[2]:
        yield Found(said[1], said[2], said[0], at)
    elif name in _RECORDS:
        given = [keyword.value for keyword in node.keywords if keyword.arg in ("before", "after")] + node.args[4:6]
        keys = [_text(key) for one in given if isinstance(one, ast.Dict) for key in one.keys if key]
        yield from (Found(word.replace("_", " "), context="term", place=at) for word in (*said[1:3], *keys) if word)


def _labels(node: ast.ClassDef, at: str) -> Iterator[Found]:
    """The labels of an enumeration's members: words of the API, which `term` translates."""
    if not any(_name(base).endswith("Choices") for base in node.bases):
        return
    for member in node.body:
        if isinstance(member, ast.Assign) and isinstance(member.value, ast.Tuple):
            label = _text(member.value.elts[-1])
            if label:
                yield Found(label.replace("_", " "), context="term", place=f"{at.split(':')[0]}:{member.lineno}")


def _fields(node: ast.ClassDef, at: str) -> Iterator[Found]:
    """The names of fields that the history tells of."""
    if node.name not in _TOLD:
        return
    for member in node.body:
        if isinstance(member, ast.Assign) and isinstance(member.value, ast.Call) and member.value.func:
            name = _name(member.targets[0])
            if _owner(member.value.func) == "models":
                yield Found(name.replace("_", " "), context="term", place=f"{at.split(':')[0]}:{member.lineno}")


def _sentences(tree: ast.Module, place: str) -> Iterator[Found]:
    for node in _visible(tree):
        text = _pattern(node)
        if text and _SENTENCE.search(text) and not _NO_SENTENCE.search(text):
            yield Found(text, place=f"{place}:{node.lineno}")


def _visible(node: ast.AST) -> Iterator[ast.expr]:
    """Texts that are neither documentation nor a log's nor translated where they stand. An error's is its message."""
    if isinstance(node, ast.Constant | ast.JoinedStr):
        yield node
        return
    if isinstance(node, ast.Assert):
        return
    if isinstance(node, ast.Call) and (_name(node.func) in _ANY or _owner(node.func) in _LOGS):
        return
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
        is_error = isinstance(node, ast.ClassDef) and any(_name(base).endswith("Error") for base in node.bases)
        children = [child for child in children if is_error or child is not node.body[0]]
    for child in children:
        yield from _visible(child)


def _pattern(node: ast.expr) -> str:
    """A text with its places numbered: f"{host} is {state}" → "{0} is {1}", and an error's "{host}" likewise."""
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, str):
            return ""
        numbers = itertools.count()
        return _NAMED.sub(lambda _found: f"{{{next(numbers)}}}", node.value)
    numbers = itertools.count()
    values = node.values if isinstance(node, ast.JoinedStr) else []
    return "".join(str(one.value) if isinstance(one, ast.Constant) else f"{{{next(numbers)}}}" for one in values)


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _owner(node: ast.expr) -> str:
    return _name(node.value) if isinstance(node, ast.Attribute) else ""
