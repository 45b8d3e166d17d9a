"""What a long-lived process hides from others that run under the same user: its memory, files and first environment.

Any process of the same user may otherwise read /proc/<pid>/environ and attach to another one's memory, where keys are
in plain text as long as it lives.
"""

import ctypes
import logging
import os

from .environment import SECRETS, forget_secrets

PR_SET_DUMPABLE = 4
log = logging.getLogger(__name__)


def close() -> None:
    """From now on only root looks into this process and what it forks; an exec opens the new program again.

    Linux only. Elsewhere nothing happens."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def close_and_forget() -> None:
    """For a process that has read its settings: children inherit none of the secrets among them."""
    close()
    given = [name for name in SECRETS if os.environ.get(name)]
    forget_secrets()
    if given:
        log.warning(
            "%s: given by the environment; %s_FILE or the service manager's credentials keep it out of there",
            ", ".join(given),
            given[0],
        )
