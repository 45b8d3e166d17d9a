"""The structure of the code: what no import contract can say (those are in pyproject.toml, held by `make lint`)."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}


def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name, migrations left out."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in CONTRACTS["root_packages"]
        for path in sorted((ROOT / package).rglob("*.py"))
        if "migrations" not in path.parts
    }


MODULES = modules()


def test_every_package_is_in_a_layer():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"bench", "demo", "deployctl", "scripts", "tests"} == set(CONTRACTS["root_packages"])
    layers = {
        name.strip().split(".")[0] for layer in CONTRACTS["contracts"][0]["layers"] for name in re.split("[:|]", layer)
    }
    assert layers == set(CONTRACTS["root_packages"])


def test_worker_loads_no_web_modules():
    """Memory and start-up: the API's and the pages' libraries would be half of a worker."""
    code = "import sys; from runtime.celery_app import app; app.loader.import_default_modules(); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert "worker.execution" in loaded
    unwanted = {"ninja", "pydantic", "gitlab", "requests", "prometheus_client", "api.routes", "console.urls"}
    assert not loaded & unwanted


def test_web_and_commands_load_no_ssh():
    code = "import gc, sys, deployer.urls; print(gc.get_stats()[2]['collections'], *sys.modules)"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    looked_for_garbage, *loaded = ended.stdout.split()
    assert "api.resources.hosts" in loaded and "paramiko" not in loaded
    assert looked_for_garbage == "0"


def test_map_for_newcomers_is_current():
    table = (ROOT / "CONTRIBUTING.md").read_text().split("## Where a rule is")[1].split("\n## ")[0]
    named = re.findall(r"`([a-z_/]+\.py)`", table)
    assert len(named) > 15 and not [path for path in named if not (ROOT / path).is_file()]


def test_no_module_has_a_vague_name():
    assert not [name for name in MODULES if FORBIDDEN_NAMES & set(name.split("."))]


def test_no_code_spells_a_status():
    """Comparing a status with a literal: the enums and the named sets of status.py are there for that."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for name, path in MODULES.items()
        if name != "microservice.status"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare) and _is_status(node.left) and any(_is_literal(one) for one in node.comparators)
    ]
    assert not wrong


def test_no_template_spells_a_status():
    """Templates ask with the filters of console/templatetags/states.py, or loop over values from the view."""
    comparison = re.compile(r"""\b(?:undo_)?(?:status|state|means)(?:\|[\w:"']+)*\s*(?:==|!=|in)\s*["'][^"']*["']""")
    wrong = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in sorted((ROOT / "templates").rglob("*.html"))
        for found in comparison.finditer(path.read_text())
    ]
    assert not wrong


def test_no_template_writes_a_field():
    """Fields come from forms, rendered by field.html. Allowed are hidden values, rows, and switches of a page."""
    rows_and_switches = {
        "change/host_picks.html",
        "change/install.html",
        "change/install_hosts.html",
        "change/version_pick.html",
        "change/version_picks.html",
        "chooser.html",
        "host/list_actions.html",
        "host/list_rows.html",
        "keys.html",
        "log/page.html",
        "all_that_match.html",
        "service/instance_rows.html",
        "service/instances_live.html",
    }
    fields = {
        (str(path.relative_to(ROOT / "templates")), kind or "text")
        for path in sorted((ROOT / "templates").rglob("*.html"))
        for kind in re.findall(r"""<(?:select|textarea|input(?:[^>]*?type="(\w+)")?)""", path.read_text())
        if kind != "hidden"
    }
    assert {path for path, _kind in fields} == rows_and_switches
    assert {kind for _path, kind in fields} == {"checkbox", "radio"}


def _is_status(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("status", "undo_status")


def _is_literal(node: ast.AST) -> bool:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return any(_is_literal(one) for one in node.elts)
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, int)) and not isinstance(node.value, bool)
