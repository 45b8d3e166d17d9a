"""Every regular expression of the product, found in its source, takes linear time on whatever it is applied to."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from deployer.engine import container_errors, error_lines, host_refusals
from microservice import causes
from microservice.catalog import recipes
from tests.security.linear import grows_linearly
from tests.security.patterns import texts, troubles

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("access", "asset", "builds", "callbacks", "deployctl", "deployer", "microservice", "integrations", "demo")
CALLS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
ANCHORED = {"match", "fullmatch"}
SIGN = re.compile(r"\bre\.|RegexValidator|re_path|RegexField")  # a file without it need not be parsed
# Made at run time: where, and what they are made of. Each example stands for all.
MADE = {
    ("microservice/output/logs.py", "re.escape(text"): [b"error", b"aaaaaaab"],
    ("microservice/output/logs.py", "b'|'.join("): [rb"(?:\xc3\x84|\xc3\xa4)(?:X|x)", rb"(?:A|a)(?:\.)"],
    ("deployer/engine/error_lines.py", "pattern"): [
        rf"\A(?:{one.pattern})\Z" for one in (*error_lines._NO_CAUSE, *error_lines._SUMMARY)
    ],
    ("deployer/engine/host_refusals.py", "pattern"): list(host_refusals.PATTERNS.values()),
    ("deployer/engine/container_errors.py", "pattern"): list(container_errors.PATTERNS.values()),
    ("microservice/catalog/recipes.py", "pattern"): [
        rf"\A(?:{one})\Z"
        for one in (
            rf"deb(-src)? (\[[A-Za-z0-9=,:/._ -]+\] )?{recipes._URL}(?: [!-~]+)+",
            rf"{recipes._NAME}(:{recipes._NAME})?",
        )
    ],
    ("microservice/catalog/recipes.py", "form"): [
        rf"\A(?:{recipes._PATH_WORD}(?:/{recipes._PATH_WORD})*/?)\Z",
        rf"\A(?:/|(?:/{recipes._PATH_WORD})+/?)\Z",
    ],
    ("microservice/causes.py", "'|'.join("): [
        "|".join(rf"(?<!{causes._NAME}){name}(?!{causes._NAME})" for name in ("web-1", r"10\.0\.0\.1", "aaaaaaab"))
    ],
    ("microservice/output/error_lines.py", "words"): [
        rb"error|fatal|fail|exception|traceback|panic|denied|refused|not found|timed out|cannot|no such"
    ],
}


class Use:
    """One regular expression: where it stands, and how it is used."""

    def __init__(self, where: str, pattern, flags: int, anchored: bool):
        self.where, self.pattern, self.flags, self.anchored = where, pattern, flags, anchored

    def __repr__(self):
        return f"{self.where} {self.pattern!r}"


def sources() -> list[Path]:
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts]
    return [*found, ROOT / "gunicorn.conf.py", ROOT / "manage.py"]


@cache  # each process of a run of all tests imports this module, and only one needs it
def in_python() -> list[Use]:
    return [use for path in sources() if SIGN.search(text := path.read_text()) for use in _in_file(path, text)]


def _in_file(path: Path, text: str):
    name, tree = str(path.relative_to(ROOT)), ast.parse(text)
    used = {}  # name of a pattern → the methods called on it
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.setdefault(node.value.id, set()).add(node.attr)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            used.setdefault(node.value.attr, set()).add(node.attr)
    names = {
        id(node.value): target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        method = _method(node.func)
        if method is None or not node.args:
            continue
        known = names.get(id(node), "")
        methods = used.get(known, {"search"}) & CALLS if method == "compile" else {method}
        where = f"{name}:{node.lineno}"
        for pattern in _values(node.args[0], name):
            yield Use(where, pattern, _flags(node, name), bool(methods) and methods <= ANCHORED)


def _method(func: ast.expr) -> str | None:
    if (
        isinstance(func, ast.Attribute)
        and isinstance(func.value, ast.Name)
        and func.value.id == "re"
        and func.attr in CALLS
    ):
        return func.attr
    if isinstance(func, ast.Name) and func.id in ("RegexValidator", "re_path", "RegexField"):
        return "search"
    return None


def _values(node: ast.expr, name: str) -> list:
    for (file, begins), examples in MADE.items():
        if file == name and ast.unparse(node).startswith(begins):
            return examples
    try:
        return [ast.literal_eval(node)]
    except ValueError:
        return [eval(compile(ast.Expression(node), name, "eval"), vars(_module(name)))]


def _flags(node: ast.Call, name: str) -> int:
    given = [one for one in (*node.args[1:], *(key.value for key in node.keywords)) if "re." in ast.unparse(one)]
    return int(eval(compile(ast.Expression(given[0]), name, "eval"), {"re": re})) if given else 0


def _module(name: str):
    return importlib.import_module(name.removesuffix(".py").replace("/", "."))


LITERAL = re.compile(
    r"(?<=[(=,:!&|?; ])/(?![/*\s>])((?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)/([gimsuy]*)(?=[.,;)\s])"
)


def in_scripts() -> list[Use]:
    found = []
    for path in sorted((ROOT / "static/js").glob("*.js")):
        for match in LITERAL.finditer(path.read_text()):
            flags = re.IGNORECASE if "i" in match[2] else 0
            found.append(Use(f"static/js/{path.name}", match[1].replace(r"\/", "/"), flags, False))
    return found


def test_pattern_search_is_complete():
    """By a plain count of what a text search finds: nothing is left out by the way the source is read."""
    calls = re.compile(
        r"\bre\.(?:compile|match|fullmatch|search|sub|subn|split|findall|finditer)\(|RegexValidator\(|"
        r"\bre_path\("
    )
    by_hand = sum(len(calls.findall(path.read_text())) for path in sources())
    made = sum(len(examples) - 1 for examples in MADE.values())
    assert len(in_python()) == by_hand + made and by_hand > 40
    assert len(in_scripts()) >= 4
    for path in sources():  # by another name, or bound at run time, one would not be found
        assert not re.search(r"import re as|from re import|import regex|\bre2\b|__i?regex\b", path.read_text()), path


def test_patterns_are_linear():
    bad = {
        repr(use): found
        for use in [*in_python(), *in_scripts()]
        if (found := troubles(use.pattern, use.flags, use.anchored))
    }
    assert not bad


@pytest.mark.parametrize("use", [*in_python(), *in_scripts()], ids=repr)
def test_patterns_are_linear_on_hostile_texts(use):
    raw = isinstance(use.pattern, bytes)
    compiled = re.compile(use.pattern, use.flags)
    ways = [compiled.match, compiled.fullmatch] if use.anchored else [lambda text: list(compiled.finditer(text))]
    for unit in texts(use.pattern, use.flags):
        for end in ("", "\0", "!", "é"):
            make = lambda n, unit=unit, end=end: _text(unit * (n // len(unit) + 1) + end, raw)
            for way in ways:
                assert grows_linearly(way, make), (use, unit, end)


def _text(text: str, raw: bool):
    return text.encode("latin-1", "replace") if raw else text


@pytest.mark.parametrize(
    ("pattern", "anchored"),
    [
        (r"(.*?): (.*?)\.(.*?) Nothing was imported\.", True),
        (r"(a+)+$", True),
        (r"(a|a)*b", True),
        (r"(?:ab?b?)*c", True),
        (r"\s*\s*x", True),
        (r"(\w+\s?)*$", True),
        (r"(.+)-(.+)-x", True),
        (r"a.*b", False),
        (r"\s+$", False),
        (r"[<{][^>}]*[>}]", False),
        (r"did not let .* in", False),
        (r"(a)\1+b", True),
        (r"(?:x[a-z]*)*y", True),
        (r".*:.*", False),
        (r"(?:a?b?)*c", True),
        (r"\d+\.?\d+x", True),
        (r"(?:.|\n)*x", False),
    ],
)
def test_rejects_known_slow_patterns(pattern, anchored):
    assert troubles(pattern, re.DOTALL, anchored)


@pytest.mark.parametrize(
    ("pattern", "anchored"),
    [
        (r"[a-z]+\Z", True),
        (r"(?:\.[\w-]+)+:", True),
        (r"//[^/@\s]*@", False),
        (r"[^\r\n]+", False),
        (r"a{1,64}b", False),
        (r"x*+x", True),
        (r"(?:a|b)*c", True),
        (r"(a|ab)*c", True),
        (r"(?:ab?)*c", True),
        (r"^\s+", False),
        (r"(?>a+)a", True),
    ],
)
def test_accepts_known_linear_patterns(pattern, anchored):
    assert not troubles(pattern, 0, anchored)
