"""The engine's messages as English sentences."""

from deployer.engine.codes import sentence
from deployer.engine.decisions import Outcome
from deployer.engine.errors import WireError
from deployer.engine.journal import JournalEvent
from deployer.engine.probe import Finding
from messages import Message
from messages.rendering import english, hint


def said(of: Outcome | Finding | WireError | JournalEvent) -> str:
    """Return the sentence in English; "" without one."""
    if isinstance(of, JournalEvent):
        return english(of.reason) if of.reason else of.detail
    message = _message(of)
    return english(sentence(message)) if message else ""


def next_step(of: Finding | WireError) -> str:
    message = _message(of)
    return english(message, hint) if message else ""


def warnings(of: Finding) -> list[str]:
    return [english(warning) for warning in of.warnings]


def _message(of: Outcome | Finding | WireError) -> Message | None:
    return of.error if isinstance(of, Finding) else of.message
