"""The entry points: everything that a person, a token or automation can do to what runs.

Every rule of a request is enforced behind these functions and nowhere else. The API and the console call them and
nothing deeper. Each returns what it changed, or raises a Problem, and then nothing has changed. A request checks the
right, locks the instances, writes the operations and wakes the workers, in one transaction.
"""

from .changes import change_version, deploy, preview
from .control import break_lock, cancel, pause, resume
from .deletes import delete
from .destinations import list_destinations
from .forgetting import archive_host, forget
from .installs import install, install_missing, preview_install
from .retries import retry, retry_instances
from .reverts import preview_revert, revert
from .waiting.answers import approve, override, plan_of_waiting, reject, reschedule

__all__ = [
    "approve",
    "archive_host",
    "break_lock",
    "cancel",
    "change_version",
    "delete",
    "deploy",
    "forget",
    "install",
    "install_missing",
    "list_destinations",
    "override",
    "pause",
    "plan_of_waiting",
    "preview",
    "preview_install",
    "preview_revert",
    "reject",
    "reschedule",
    "resume",
    "retry",
    "retry_instances",
    "revert",
]
