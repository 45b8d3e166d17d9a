"""Every imported package is named in a requirements file: a package that came with another one may go with it."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Packages of the tools that `bench` compares with, in environments of their own.
BENCH_ONLY = {"fabric", "pyinfra", "work"}
PRODUCT = {"requirements.in", "requirements-s3.in"}
DEVELOPMENT = {*PRODUCT, "requirements-dev.in"}
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} | {"manage", "gunicorn"}
DEVELOPMENT_FOLDERS = ("tests", "bench", "scripts")


def imported(files: list[Path]) -> dict[str, Path]:
    """Return {top-level package: a file that imports it}, without the standard library and this project."""
    packages = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            packages |= {name.partition(".")[0]: path for name in names}
    own = (FOLDERS - {"gunicorn"}) | BENCH_ONLY | set(sys.stdlib_module_names)
    return {name: path for name, path in packages.items() if name not in own}


def required(names: set[str]) -> set[str]:
    """Return the normalized names of the packages that these files name."""
    lines = [line for name in names for line in (ROOT / name).read_text().splitlines() if line and line[0] not in "#-"]
    return {re.split(r"[\[=<>;]", line)[0].strip().lower().replace("_", "-") for line in lines}


def sources(development: bool) -> list[Path]:
    return [
        path
        for folder in ROOT.iterdir()
        if folder.is_dir() and folder.name[0] != "." and (folder.name in DEVELOPMENT_FOLDERS) == development
        for path in folder.rglob("*.py")
        if "node_modules" not in path.parts
    ]


@pytest.mark.parametrize(("development", "files"), [(False, PRODUCT), (True, DEVELOPMENT)])
def test_names_every_import(development, files):
    distributions = packages_distributions()
    packages = imported(sources(development))
    assert len(packages) > 10
    unnamed = {
        package: str(path.relative_to(ROOT))
        for package, path in packages.items()
        if not {name.lower().replace("_", "-") for name in distributions.get(package, [package])} & required(files)
    }
    assert unnamed == {}


def test_finds_an_unnamed_import(tmp_path):
    file = tmp_path / "module.py"
    file.write_text("import json\nimport runtime.logs\nfrom unnamed.part import thing\nfrom . import sibling\n")
    assert imported([file]) == {"unnamed": file}
