"""Who may import whom (CONTRIBUTING.md, "Who may import whom"), read from the code itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ["deployer", *sorted(path.parent.name for path in ROOT.glob("*/apps.py"))]
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}

# module prefix → prefixes that it must not import. All rules whose prefix matches a module apply to it.
MUST_NOT = {
    "deployer.engine": [
        "django",
        "celery",
        "microservice",
        "asset",
        "access",
        "deployer.settings",
        "runtime.celery_app",
    ],
    "access": ["microservice", "deployer.engine", "asset"],
    "asset": ["console.views", "api", "microservice.deployments"],
    "microservice.status": ["microservice", "asset", "access", "deployer"],
    "microservice.models": ["console.queries", "microservice.deployments", "worker.execution"],
    "console.queries": ["microservice.deployments", "worker.execution", "worker.recovery"],
    "microservice.deployments.rollout": ["django", "celery", "deployer", "microservice.models"],
    "console.views": ["deployer.engine", "worker.execution", "worker.recovery", "worker.tasks"],
    "api": ["deployer.engine", "worker.execution", "worker.recovery", "worker.tasks"],
    "microservice.deployments": ["worker.execution", "worker.recovery", "worker.tasks"],
    "worker.execution": ["microservice.deployments"],
    "builds": ["console.views", "deployer.engine"],
    "microservice.wake": ["worker.execution", "worker.recovery", "worker.tasks"],
}
DOORS = ["console.views", "api"]
# The addresses, and what prints the API's description and who may do what.
COMMANDS = ("openapi", "rights_table")
MAY_OPEN = {f"microservice.management.commands.{name}" for name in COMMANDS} | {f"{app}.urls" for app in APPS}


def modules(apps: list[str]) -> dict[str, Path]:
    """Every module of these by its dotted name, migrations left out."""
    found = {}
    for app in apps:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def imports(name: str, path: Path) -> set[str]:
    """Dotted names that a module imports, anywhere in it; `from x import y` counts as x and as x.y."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def inside(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of two or more that all lead to each other. (Tarjan's algorithm.)"""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []
    found = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        open_.append(name)
        for other in sorted(arrows[name]):
            if other not in number:
                visit(other)
            if other in open_:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == number[name]:
            group = open_[open_.index(name) :]
            del open_[-len(group) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in arrows:
        if name not in number:
            visit(name)
    return found


def arrows(every: dict[str, Path]) -> dict[str, set[str]]:
    """What each of these imports of them, with the packages around it."""
    return {
        name: {one for wanted in imports(name, path) for one in every if inside(wanted, one) and not inside(name, one)}
        for name, path in every.items()
    }


def room(name: str) -> str:
    return ".".join(name.split(".")[:2])


MODULES = modules(APPS)
IMPORTS = {name: imports(name, path) for name, path in MODULES.items()}


@pytest.mark.parametrize("above", MUST_NOT)
def test_a_part_imports_nothing_that_it_must_not_know(above):
    wrong = {
        f"{name} imports {imported}"
        for name, wanted in IMPORTS.items()
        if inside(name, above) and not (".api" in name and ".api" not in above)  # an app's part of the API
        for imported in wanted
        for forbidden in MUST_NOT[above]
        if inside(imported, forbidden) and not inside(imported, above)
    }
    assert not wrong


def test_every_rule_is_about_modules_that_exist():
    missing = [above for above in MUST_NOT if not any(inside(name, above) for name in MODULES)]
    assert not missing


def test_no_modules_import_each_other_in_a_circle():
    """At the top or inside a function: whoever reads one of a circle has to know them all. A module runs the packages
    around what it imports, so those count; the packages around the module itself were there before it."""
    assert not circles(arrows(modules([*APPS, "bench", "demo", "deployctl"])))


def test_no_rooms_of_microservice_need_each_other_in_a_circle():
    """A room is a folder with all that is in it, or a file beside the folders: each can be read after those below."""
    rooms: dict[str, set[str]] = {}
    for name, below in arrows(MODULES).items():
        if inside(name, "microservice"):
            rooms.setdefault(room(name), set()).update({room(one) for one in below if inside(one, "microservice")})
    assert len(rooms) > 20 and not circles({name: below - {name} for name, below in rooms.items()})


def test_a_circle_is_found_however_long_and_one_way_is_none():
    assert circles({"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": set()}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_nothing_imports_views_or_the_api_but_the_addresses():
    wrong = {
        f"{name} imports {imported}"
        for name, wanted in IMPORTS.items()
        for imported in wanted
        for door in DOORS
        if inside(imported, door) and not inside(name, door) and name not in MAY_OPEN and ".api." not in f"{name}."
    }
    assert not wrong


def test_paramiko_is_imported_in_one_folder():
    using = [name for name, wanted in IMPORTS.items() if any(inside(one, "paramiko") for one in wanted)]
    assert using and all(inside(name, "deployer.engine.ssh") for name in using)


def test_the_engine_needs_nothing_but_the_standard_library_and_paramiko():
    """And what paramiko itself is made of, for keys and signatures, in the same folder."""
    allowed = sys.stdlib_module_names | {"paramiko"}
    wrong = {
        f"{name} imports {imported}"
        for name, wanted in IMPORTS.items()
        if inside(name, "deployer.engine")
        for imported in wanted
        if not inside(imported, "deployer.engine") and imported.split(".")[0] not in allowed and imported != "deployer"
        if not (inside(name, "deployer.engine.ssh") and inside(imported, "cryptography"))
    }
    assert not wrong


def test_only_the_worker_side_knows_how_work_is_done_on_hosts():
    conduct = "deployer.engine.run"
    callers = [name for name, wanted in IMPORTS.items() if any(inside(one, conduct) for one in wanted)]
    assert not [name for name in callers if inside(name, "api") or inside(name, "console.views")]


def test_a_worker_loads_nothing_that_only_web_needs():
    """Memory and start-up: the API's and the pages' libraries would be half of a worker."""
    asked = "import sys; from runtime.celery_app import app; app.loader.import_default_modules(); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert "worker.execution" in loaded
    unwanted = {"ninja", "pydantic", "gitlab", "requests", "prometheus_client", "api", "console.urls"}
    assert not loaded & unwanted


def test_what_speaks_ssh_is_loaded_by_no_command_or_web_process_that_asks_no_host():
    asked = "import gc, sys, deployer.urls; print(gc.get_stats()[2]['collections'], *sys.modules)"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", asked]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    looked_for_garbage, *loaded = ended.stdout.split()
    assert "api.resources.hosts" in loaded and "paramiko" not in loaded
    assert looked_for_garbage == "0"


def test_the_map_for_newcomers_names_only_what_is_there():
    table = (ROOT / "CONTRIBUTING.md").read_text().split("## Where a rule is")[1].split("\n## ")[0]
    named = re.findall(r"`([a-z_/]+\.py)`", table)
    assert len(named) > 15 and not [path for path in named if not (ROOT / path).is_file()]


def test_no_module_has_a_name_that_says_nothing():
    assert not [name for name in MODULES if FORBIDDEN_NAMES & set(name.split("."))]


def test_no_status_is_spelled_as_a_text_outside_its_own_file():
    """Comparing a status with a literal: the enums and the named sets of status.py are there for that."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for name, path in MODULES.items()
        if not inside(name, "microservice.status")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare) and _is_status(node.left) and any(_is_literal(one) for one in node.comparators)
    ]
    assert not wrong


def _is_status(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("status", "undo_status")


def _is_literal(node: ast.AST) -> bool:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return any(_is_literal(one) for one in node.elts)
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, int)) and not isinstance(node.value, bool)
