"""Runs shell code of the documentation as a reader would: with deployctl, an address and a token at hand."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_recipe(script: str, folder: Path, url: str, token: str, **more: str) -> str:
    """Run it in a folder and return what it prints. It must succeed."""
    known = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DEPLOYCTL_URL": url,
        "DEPLOYCTL_TOKEN": token,
        **more,
    }
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=folder, env=known, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
