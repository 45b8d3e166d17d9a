"""The product's processes with their usual commands: broker, web and worker."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from runtime import embedded_broker
from runtime.environment import socket_path

from .supervise import Part

ROOT = Path(__file__).resolve().parent.parent
MANAGE = [sys.executable, "manage.py"]
WEB = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "deployer.wsgi"]
WORKER = [sys.executable, "-m", "celery", "-A", "deployer", "worker", "--without-gossip", "--without-mingle"]


def product(environment: dict[str, str], log: Callable[[str], Path]) -> list[Part]:
    """Return the processes in starting order. `log(name)` is the file for the output of one."""
    parts = []
    if not any(environment.get(name, "").strip() for name in ("BROKER_URL", "BROKER_URL_FILE")):
        # The command that `manage.py broker` executes, without loading Django first.
        socket = socket_path(Path(environment["DATA_DIR"]) / "broker.sock")
        parts.append(
            Part("broker", embedded_broker.command(socket), embedded_broker.environment(), log("broker"), ROOT)
        )
    parts.append(Part("web", WEB, environment, log("web"), ROOT))
    worker = [*WORKER, "--loglevel", environment.get("LOG_LEVEL", "INFO").upper()]
    parts.append(Part("worker", worker, environment, log("worker"), ROOT))
    return parts


def check_settings(environment: dict[str, str]) -> str:
    """Return "" if the settings are valid, else the one-line error."""
    command = [sys.executable, "-c", "import deployer.settings"]
    check = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    return "" if check.returncode == 0 else check.stderr.strip().splitlines()[-1]


def short_log(path: Path, most: int = 5_000_000) -> None:
    """Rotate a large log; one old file is kept."""
    if path.exists() and path.stat().st_size > most:
        os.replace(path, path.with_suffix(".old"))
