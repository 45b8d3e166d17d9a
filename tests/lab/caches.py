"""What test runs keep for later ones."""

import os
from pathlib import Path


def folder() -> Path:
    """Also of scripts/static-busybox."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deployer-tests"
