"""The table of codes and the project's code say the same."""

import ast
import re
from pathlib import Path

from access.problem_codes import CODES
from access.problems import Problem

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
# Where in a call the code stands.
PLACE = {"Problem": 1, "conflict": 0, "invalid": 2, "refused": 0}


def carried() -> dict[str, set[str]]:
    """{code: files} of every refusal that is spelled anywhere."""
    found: dict[str, set[str]] = {}
    for path in (path for app in APPS for path in (ROOT / app).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for code in _codes(node):
                if re.fullmatch(r"[a-z_]+", code):
                    found.setdefault(code, set()).add(str(path.relative_to(ROOT)))
    return found


def _codes(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return [value.value for key, value in pairs if _text(key) == "code" and _text(value)]  # type: ignore[union-attr]
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in PLACE:
        return []
    place = PLACE[node.func.id]
    named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
    return [text.partition(".")[0] for one in [*node.args[place : place + 1], *named] if (text := _text(one))]


def _text(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_every_refusal_of_the_project_is_in_the_table():
    found = carried()
    assert len(found) > 30
    assert {code: files for code, files in found.items() if code not in CODES} == {}


def test_every_code_of_the_table_is_carried_by_some_refusal():
    texts = [path.read_text() for app in APPS for path in (ROOT / app).rglob("*.py") if path.name != "problem_codes.py"]
    assert [code for code in CODES if not any(f'"{code}"' in text or f'"{code}.' in text for text in texts)] == []


def test_every_code_says_what_it_means_and_what_to_do():
    for code, told in CODES.items():
        assert told.means.endswith(".")
        assert told.do.endswith(".")
        assert 400 <= told.status < 600
        assert re.fullmatch(r"[a-z_]+", code)


def test_the_type_of_a_problem_leads_to_its_place_on_the_page(client, rf):
    from api import errors

    page = client.get("/api/v1/docs/errors").content.decode()
    for code, told in CODES.items():
        kind = errors.answer(rf.get("/api/v1/"), Problem(told.status, code, "No.")).content.decode()
        address, _, anchor = re.search(r'"type": "([^"]*)"', kind)[1].partition("#")
        assert (address, anchor) == ("/api/v1/docs/errors", code)
        assert f'id="{anchor}"' in page
