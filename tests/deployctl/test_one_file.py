"""deployctl.pyz: fetched from an installation, it is all that a machine with Python needs."""

import ast
import hashlib
import io
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from django.test import Client

from api import command_line
from deployctl import __version__

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "deployctl").glob("*.py"))


@pytest.fixture
def file(db, tmp_path) -> Path:
    answer = Client().get("/deployctl.pyz")
    assert answer.status_code == 200 and answer["Content-Type"] == "application/zip"
    path = tmp_path / "deployctl.pyz"
    path.write_bytes(answer.content)
    return path


def run(*words: str, **environment: str) -> subprocess.CompletedProcess:
    """With nothing of this project, its packages or its environment. -I: nor of the user's."""
    known = {"PATH": "/usr/bin:/bin", **environment}
    command = [sys.executable, "-I", "-S", *words]
    return subprocess.run(command, cwd="/", env=known, text=True, capture_output=True, timeout=60)


def test_runs_where_there_is_nothing_but_python(file):
    done = run(str(file), "--version")
    assert (done.returncode, done.stdout) == (0, f"deployctl {__version__}\n"), done.stderr
    shown = run(str(file), "deploy", "--help").stdout
    assert "examples:" in shown and "--label NAME=VALUE" in shown
    named = run(str(file), "versions", "name", "--ref=-x", "--commit", "0" * 40, "--time", "2026-01-31T12:00:00Z")
    assert named.stdout == "20260131120000-x-00000000\n", named.stderr
    assert run(str(file), "status", "1").stderr == "Error: No token: set DEPLOYCTL_TOKEN or use --token-file.\n"


def test_says_which_python_it_needs(file):
    """In words that an older one can read, before it meets what it cannot."""
    ast.parse((ROOT / "deployctl" / "__main__.py").read_text(), feature_version=(3, 4))
    code = "import runpy, sys; sys.version_info = (3, 8, 1); runpy.run_path(sys.argv[1], run_name='__main__')"
    done = run("-c", code, str(file))
    assert done.returncode == 1 and done.stderr.startswith("deployctl needs Python 3.9 or newer, and this is ")


def test_holds_the_commands_and_nothing_else(file):
    with zipfile.ZipFile(file) as pack:
        assert pack.testzip() is None
        assert set(pack.namelist()) == {"__main__.py", *(f"deployctl/{path.name}" for path in SOURCES)}
        assert all(pack.read(f"deployctl/{path.name}") == path.read_bytes() for path in SOURCES)


def test_is_the_same_each_time_and_is_not_sent_again(db):
    first = Client().get("/deployctl.pyz")
    command_line.archive.cache_clear()
    assert Client().get("/deployctl.pyz").content == first.content
    again = Client().get("/deployctl.pyz", headers={"If-None-Match": f'W/{first["ETag"]}, "other"'})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert Client().head("/deployctl.pyz").status_code == 200
    assert Client().post("/deployctl.pyz").status_code == 405
    assert len(first.content) < 60_000 and hashlib.sha256(first.content).hexdigest().startswith(first["ETag"][1:-1])


@pytest.mark.pure
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_is_written_in_the_python_of_old_machines(path):
    """3.9, in syntax; what is imported has to be there too, and annotations are never evaluated."""
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    text = path.read_text()
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))
    if any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body):
        assert "from __future__ import annotations" in text or path.name == "__main__.py"
    for newer in ("slots=True", "file_digest", "StrEnum", "datetime.UTC", "import UTC", "tomllib"):
        assert newer not in text, newer
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    own = {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names | {"deployctl"}}
    assert own <= {"__future__"}


def test_wheel_declares_what_it_needs(tmp_path):
    source = tmp_path / "source"  # a build leaves files beside what it builds
    shutil.copytree(ROOT / "deployctl", source / "deployctl")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(tmp_path),
            str(source),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("deployctl-*.whl")
    with zipfile.ZipFile(io.BytesIO(wheel.read_bytes())) as pack:
        (metadata,) = (pack.read(name).decode() for name in pack.namelist() if name.endswith("/METADATA"))
        (starts,) = (pack.read(name).decode() for name in pack.namelist() if name.endswith("/entry_points.txt"))
    assert f"Version: {__version__}\n" in metadata and "Requires-Python: >=3.9\n" in metadata
    assert "Requires-Dist" not in metadata, "the standard library alone"
    assert "deployctl = deployctl.commands:main" in starts
