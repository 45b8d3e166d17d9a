"""Tells those who listen that a deployment has ended, after the commit. They lie above this folder: release trains do.

Nothing depends on it alone: the sweep finds what was missed when a process died in between.
"""

from django.db import transaction
from django.dispatch import Signal

deployment_ended = Signal()  # number: the deployment's id


def announce(number: int) -> None:
    """Tell them after the commit of the current transaction. What goes wrong there does no harm to it."""
    transaction.on_commit(lambda: deployment_ended.send(sender=None, number=number), robust=True)
