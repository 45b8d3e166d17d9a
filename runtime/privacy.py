"""Hide the memory, files and initial environment of a process from other processes of the same user.

Otherwise any of them can read /proc/<pid>/environ and attach to its memory, where keys are in plain text.
"""

import ctypes
import logging
import os

from .environment import SECRETS, forget_secrets

PR_SET_DUMPABLE = 4
log = logging.getLogger(__name__)


def deny_inspection() -> None:
    """Allow only root to inspect this process and its forks. An exec makes the new program inspectable again.

    Linux only; elsewhere nothing happens.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def protect_process() -> None:
    """Deny inspection and remove the secrets from the environment. Call it after the settings are loaded."""
    deny_inspection()
    exposed = [name for name in SECRETS if os.environ.get(name)]
    forget_secrets()
    if exposed:
        log.warning(
            "%s is set in the environment; use %s_FILE or the service manager's credentials instead",
            ", ".join(exposed),
            exposed[0],
        )
