"""Where the product's code makes messages, as its syntax tree shows it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = (
    "access",
    "api",
    "asset",
    "audit",
    "builds",
    "callbacks",
    "console",
    "deployer",
    "integrations",
    "microservice",
    "runtime",
    "worker",
)
# Function: which argument is the code, and the keyword arguments that are not parameters of the message.
MAKERS: dict[str, tuple[int, frozenset[str]]] = {
    "Message": (0, frozenset({"params"})),
    "InvalidValue": (0, frozenset({"reason"})),
    "FieldError": (1, frozenset({"pointer", "reason", "more"})),
    "refused": (0, frozenset({"code", "errors", "headers", "page"})),
    "invalid": (1, frozenset({"pointer", "reason", "code"})),
    "unauthorized": (0, frozenset({"code"})),
    "BadArchive": (0, frozenset()),
}
REFUSALS = frozenset({"refused", "unauthorized"})


@dataclass(frozen=True)
class Call:
    """A call that makes a message. `codes`: those that it may have. `params`: None where they are not literal."""

    where: str
    maker: str
    codes: tuple[str, ...]
    params: frozenset[str] | None
    sentence: bool  # a finished sentence in place of a code


@cache
def modules() -> dict[str, ast.Module]:
    """{path: syntax tree} of the product, without migrations."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text())
        for app in APPS
        for path in sorted((ROOT / app).rglob("*.py"))
        if "migrations" not in path.parts
    }


@cache
def calls() -> tuple[Call, ...]:
    return tuple(_calls())


@cache
def strings() -> frozenset[str]:
    """Every text constant of the product: a code may stand in a table or be returned, and be passed on later."""
    return frozenset(
        node.value
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def strings_outside(path: str) -> set[str]:
    """Every text constant of the product but those of one module."""
    return {
        node.value
        for name, tree in modules().items()
        if name != path
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@cache
def prefixes() -> frozenset[str]:
    """Return how f-strings such as f"integration.{name}" begin: codes that are chosen at run time."""
    return frozenset(
        str(node.values[0].value)
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        and isinstance(node.values[0], ast.Constant)
        and str(node.values[0].value).endswith(".")
        and " " not in str(node.values[0].value)
    )


def _calls() -> Iterator[Call]:
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (maker := _name(node.func)) in MAKERS:
                place, own = MAKERS[maker]
                named = {keyword.arg: keyword.value for keyword in node.keywords}
                code = node.args[place] if len(node.args) > place else named.get("reason") or named.get("code")
                sentence = _is_sentence(code)
                codes = tuple(text for text in _constants(code) if " " not in text)
                yield Call(f"{path}:{node.lineno}", maker, codes, _params(node, maker, named, own), sentence)


def _params(
    node: ast.Call, maker: str, named: dict[str | None, ast.expr], own: frozenset[str]
) -> frozenset[str] | None:
    if None in named:  # **params
        return None
    if maker != "Message":
        return frozenset(str(name) for name in named if name not in own)
    given = node.args[1] if len(node.args) > 1 else named.get("params")
    if given is None:
        return frozenset()
    if isinstance(given, ast.Dict) and all(isinstance(key, ast.Constant) for key in given.keys):
        return frozenset(str(key.value) for key in given.keys if isinstance(key, ast.Constant))
    return None


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _constants(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _is_sentence(node: ast.expr | None) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_sentence(node.body) or _is_sentence(node.orelse)
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.Constant) and " " in str(part.value) for part in node.values)
    return isinstance(node, ast.Constant) and " " in str(node.value)
