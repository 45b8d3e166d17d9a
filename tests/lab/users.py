"""Users of this machine that a test makes, with what sudo lets them do; gone with the test. Needs root."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUDOERS = Path("/etc/sudoers.d")
LOCK = Path("/tmp/deployer-test-users.lock")


def why_not() -> str:
    """Why no users can be made here; empty where they can."""
    if os.geteuid() != 0:
        return "only root can make users and rules for sudo"
    missing = [tool for tool in ("sudo", "useradd", "userdel") if shutil.which(tool) is None]
    return f"this machine has no {', '.join(missing)}" if missing else ""


@contextmanager
def made(names: tuple[str, ...], rules: str = "") -> Iterator[tuple[str, ...]]:
    """Users named after `names` and this process, each with a group of its own. `rules` are lines for sudoers, in which
    {0}, {1} … stand for the users."""
    users = tuple(f"dt{name}{os.getpid()}" for name in names)
    drop_in = SUDOERS / f"deployer-test-{os.getpid()}"
    try:
        for user in users:
            _alone("useradd", "--system", "--user-group", "--no-create-home", user)
        if rules:
            drop_in.touch(0o440)
            drop_in.write_text(rules.format(*users) + "\n")
            subprocess.run(["visudo", "-cqf", drop_in], check=True)
        yield users
    finally:
        drop_in.unlink(missing_ok=True)
        for user in users:
            _alone("userdel", user, check=False)


def _alone(*command: str, check: bool = True) -> None:
    """Lock out other test processes: the tools do not wait for each other's lock on /etc/passwd."""
    with LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(command, check=check, capture_output=True)
