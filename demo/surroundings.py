"""The environment of the demo's processes, and its secrets, created once and kept in var/demo.env."""

import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from runtime.renamed_settings import refuse_renamed

from .network import choose_port, usable
from .openssh import write_private

ROOT = Path(__file__).resolve().parent.parent
USERNAME, APPROVER = "demo", "approver"
# Who can sign in, and the variable with the password.
PASSWORDS = {USERNAME: "DEMO_PASSWORD", APPROVER: "DEMO_APPROVER_PASSWORD"}


class CannotStart(Exception):
    """The demo cannot start or continue. The text is the one line that is printed."""


@dataclass(frozen=True)
class Place:
    """The demo's data folder and port."""

    var: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def record(self) -> Path:
        """How to reach the running demo. Exists only while the demo is ready."""
        return self.var / "demo.json"

    @property
    def last(self) -> Path:
        """The last record, so that the next run keeps the token, addresses and ports."""
        return self.var / "demo.last.json"

    def log(self, name: str) -> Path:
        return self.var / "log" / f"{name}.log"


def find_place() -> Place:
    """Return the place that DATA_DIR and PORT name. Without PORT: the last port if it is free, else any free one."""
    refuse_renamed()
    var = Path(os.environ.get("DATA_DIR", "").strip() or ROOT / "var").absolute()
    var.mkdir(parents=True, exist_ok=True)
    wanted = os.environ.get("PORT", "").strip()
    if not wanted:
        last = last_record(var / "demo.last.json").get("url", "").rpartition(":")[2]
        return Place(var, choose_port("127.0.0.1", int(last) if last.isdigit() else 0))
    if not wanted.isascii() or not wanted.isdigit() or not 1 <= int(wanted) <= 65535:
        raise CannotStart(f"PORT must be a number from 1 to 65535, not {wanted!r}")
    if not usable("127.0.0.1", int(wanted)):
        raise CannotStart(f"port {wanted} is in use; choose another with PORT=…, or unset PORT to use a free one")
    return Place(var, int(wanted))


def last_record(path: Path) -> dict:
    """Return the content of a record; empty if there is none."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def only_one(var: Path) -> int:
    """Lock the folder for this process: two demos on the same data would end each other's services."""
    lock = os.open(var / "demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        url = last_record(var / "demo.json").get("url", "")
        raise CannotStart(f"already running{' at ' + url if url else ''} (data in {var})") from None
    return lock


def kept_secrets(path: Path) -> dict[str, str]:
    """Return SECRET_KEY, FIELD_ENCRYPTION_KEYS and the passwords of the demo's people, created on the first run."""
    kept = {}
    if path.exists():
        written = [line.partition("=") for line in path.read_text().splitlines() if "=" in line and line[0] != "#"]
        kept = {name: value for name, _, value in written}
        if "FIELD_KEYS" in kept:  # its name in a file of an earlier version
            kept["FIELD_ENCRYPTION_KEYS"] = kept.pop("FIELD_KEYS")
    values = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        **{name: secrets.token_urlsafe(12) for name in PASSWORDS.values()},
    } | kept
    if values != kept:
        lines = ["# The demo's secrets, created once. Without them its data cannot be decrypted."]
        write_private(path, "\n".join([*lines, *(f"{name}={value}" for name, value in values.items())]) + "\n")
    return values


def environment(place: Place) -> dict[str, str]:
    """Return the environment of every process. Variables set by the caller take precedence.

    Keys are in files: a process's environment can be read while it runs.
    """
    inherited = dict(os.environ)
    kept = kept_secrets(place.var / "demo.env")
    files = {}
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        value = kept.pop(name)
        if not inherited.get(name, "").strip():
            inherited.pop(name, None)
            write_private(place.var / f"demo.{name.lower()}", value + "\n")
            files[f"{name}_FILE"] = str(place.var / f"demo.{name.lower()}")
    defaults = (
        kept
        | files
        | {
            "LOG_LEVEL": "INFO",
            "PYTHONUNBUFFERED": "1",
            "GIT_ALLOWED_PROTOCOLS": "https ssh file",  # its repository is on this machine
        }
    )
    ours = {"DATA_DIR": str(place.var), "PORT": str(place.port), "PUBLIC_URL": place.url}
    return defaults | inherited | ours
