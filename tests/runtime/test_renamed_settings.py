"""A variable under its old name stops the start: ignored, it would silently leave the default in force."""

import os
import subprocess
import sys

import pytest

from runtime.environment import InvalidSetting
from runtime.renamed_settings import RENAMED, refuse_renamed
from tests.lab.worker import ROOT

RENAMES = (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_names_the_new_variable(monkeypatch, old, new):
    monkeypatch.setenv(old, "1")
    with pytest.raises(InvalidSetting) as refusal:
        refuse_renamed()
    assert str(refusal.value) == f"deployer cannot start: {old} is now called {new}: rename it"
    assert f"| `{old}` | `{new}` |" in RENAMES


def test_accepts_empty_old_variable(monkeypatch):
    monkeypatch.setenv("LEASE", "")
    refuse_renamed()


def test_names_the_new_file_variable(monkeypatch):
    monkeypatch.setenv("FIELD_KEYS_FILE", "/run/keys")
    with pytest.raises(InvalidSetting, match="FIELD_KEYS_FILE is now called FIELD_ENCRYPTION_KEYS_FILE"):
        refuse_renamed()


def test_names_the_new_credential(monkeypatch, tmp_path):
    (tmp_path / "FIELD_KEYS").write_text("key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(InvalidSetting, match="FIELD_KEYS is now called FIELD_ENCRYPTION_KEYS: rename the credential"):
        refuse_renamed()


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "celery", "-A", "deployer", "worker"],
        ["-m", "gunicorn", "-c", "gunicorn.conf.py", "deployer.wsgi"],
        ["manage.py", "check"],
        ["-m", "demo"],
        ["-m", "demo.run"],
    ],
)
def test_stops_every_process(command, tmp_path):
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "DEBUG": "1", "DATA_DIR": str(tmp_path), "WEB_GRACE": "9"}
    process = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    lines = [line for line in (process.stdout + process.stderr).splitlines() if line.strip()]
    assert process.returncode and lines[-1].endswith("WEB_GRACE is now called WEB_SHUTDOWN_TIMEOUT: rename it")
    assert not any("Traceback" in line for line in lines)
