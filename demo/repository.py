"""A real git repository beside the demo's data, with a service that is built from it by a click.

Made once and then left alone: commit something to it for another build.
"""

import os
import shutil
import subprocess
from pathlib import Path

from .service import definition

LONGEST_URL = 128  # what a service's build_url holds
BUILD = """\
#!/bin/sh
# What lies in $OUT when this ends is the package.
set -eu
echo "building $SERVICE_NAME $VERSION from $COMMIT for $USERNAME"
cp app.py "$OUT/"
echo "$VERSION" > "$OUT/VERSION"
"""
# (branch, what its last commit says, what it changes in the program)
BRANCHES = (
    ("master", "Suggest what sells well", ("hello from", "hello from")),
    ("bold", "Serve more searches at once", ("listen(64)", "listen(128)")),
)


def make(var: Path) -> str:
    """Make the repository. Return its address as a build_url; empty without git, or if the path is too long for it."""
    folder = var / "repository"
    address = f"file://{folder}"
    if not shutil.which("git") or len(address) > LONGEST_URL:
        return ""
    if not (folder / ".git").exists():
        unfinished = folder.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        unfinished.chmod(0o755)  # builds are another user: they read it, whatever the umask here
        _fill(unfinished)
        unfinished.replace(folder)
    return address


def commits(var: Path) -> dict[str, str]:
    """Return the short commit that each of the demo's branches stands at."""
    return {branch: _git(var / "repository", "rev-parse", "--short=7", branch) for branch, _, _ in BRANCHES}


def _fill(folder: Path) -> None:
    _git(folder, "init", "-q", ".")
    _git(folder, "symbolic-ref", "HEAD", f"refs/heads/{BRANCHES[0][0]}")
    for branch, message, (old, new) in BRANCHES:
        if branch != BRANCHES[0][0]:
            _git(folder, "checkout", "-q", "-b", branch)
        (folder / "app.py").write_text(definition.PROGRAM.read_text().replace(old, new))
        (folder / "build").write_text(BUILD)
        (folder / "build").chmod(0o755)
        _git(folder, "add", ".")
        _git(folder, "commit", "-q", "-m", message)
    _git(folder, "checkout", "-q", BRANCHES[0][0])


def _git(folder: Path, *words: str) -> str:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "demo",
        "GIT_AUTHOR_EMAIL": "demo@localhost",
        "GIT_COMMITTER_NAME": "demo",
        "GIT_COMMITTER_EMAIL": "demo@localhost",
    }
    result = subprocess.run(
        ["git", *words], cwd=folder, umask=0o022, env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()
