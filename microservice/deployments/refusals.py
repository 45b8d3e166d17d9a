"""Refusals that name several targets: one error for each, and a sentence that says the first and counts the others."""

from access.problem_codes import CODES
from access.problems import FieldError, Problem, refused
from messages import Message

_SEVERAL = {
    "already_installed": "already_installed.several",
    "concurrent_update": "concurrent_update.targets",
    "host_of_another_team": "host_of_another_team.targets",
    "in_maintenance": "in_maintenance.several",
    "instance_locked": "instance_locked.targets",
    "instance_state": "instance_state.several",
    "plan_changed": "plan_changed.several",
    "wrong_target": "wrong_target.several",
}


def family(message: Message) -> str:
    """Return the API's code for a message."""
    return message.code.partition(".")[0]


def refused_targets(errors: list[FieldError]) -> Problem:
    """Return the refusal for these errors, at least one. Its code is the family of the first."""
    reason = errors[0].reason
    code = family(reason)
    if len(errors) > 1:
        return Problem(CODES[code].status, _others(_SEVERAL[code], errors), errors=errors)
    return Problem(CODES[code].status, reason, errors=errors)


def nothing_to_do(errors: list[FieldError]) -> Problem:
    """Return the refusal where no target is left; `errors`: why each was skipped."""
    if not errors:
        return refused("nothing_to_do")
    if len(errors) == 1:
        return refused("nothing_to_do.target", errors, reason=errors[0].reason)
    return Problem(CODES["nothing_to_do"].status, _others("nothing_to_do.several", errors), errors=errors)


def _others(code: str, errors: list[FieldError]) -> Message:
    return Message(code, {"reason": errors[0].reason, "more": len(errors) - 1})
