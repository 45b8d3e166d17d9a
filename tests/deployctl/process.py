"""deployctl as a process that speaks to a web server."""

import os
import subprocess
import sys

from tests.lab.worker import ROOT


def run_deployctl(url: str, token: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with nothing of this process's environment but `more`."""
    known = {"PATH": os.environ["PATH"], "DEPLOYCTL_URL": url, "DEPLOYCTL_TOKEN": token, **more}
    command = [sys.executable, "-m", "deployctl", *words]
    return subprocess.run(command, cwd=ROOT, env=known, text=True, capture_output=True, timeout=100)
