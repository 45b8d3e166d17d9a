"""What a service's definition may be: its user, environment, limits and steps. Pure; every check raises ValueError."""

import re

from .atom import StepKind
from .program import DEFAULT_LIMITS

ANCHORS = ("stop", "link", "start", "check", "post")
OWN_NAMES = {"SERVICE", "VERSION", "RELEASE", "CURRENT", "SHARED", "HOST", "PORT", "TAG", "WEIGHT", "OTHER_VERSION"}
NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"  # of services and versions: nothing that a path could be made of
USER = r"[a-z_][a-z0-9_-]{0,31}"
MAX_COMMAND = 16_384
LIMIT_BOUNDS = {  # lowest and highest value
    "step_timeout": (1, 86_400),
    "idle_timeout": (0, 86_400),
    "output_head": (65_536, 1 << 30),
    "output_tail": (1_024, 16 << 20),
    "check_passes": (1, 100),
    "disk_reserve": (0, 1 << 50),
}


def check_run_as(user: str, private_releases: bool) -> None:
    """Check the user that the service runs as, "" for none. Only a user of its own can have private releases."""
    if user and not re.fullmatch(USER, user):
        raise ValueError("must be a user name: a-z or _, then at most 31 of a-z, 0-9, _ and -")
    if private_releases and not user:
        raise ValueError("private releases need a user that the service runs as")


def check_environment(environment: dict) -> None:
    """Check that it maps names of variables to texts that a command's environment can hold."""
    if not isinstance(environment, dict):
        raise ValueError("the environment must map names to texts")
    for name, value in environment.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} is not a valid variable name: a letter, then letters, digits and _")
        if name in OWN_NAMES:
            raise ValueError(f"{name} is set by the deployment itself")
        if not isinstance(value, str) or "\0" in value or len(value) > MAX_COMMAND:
            raise ValueError(f"{name} must be a text of at most {MAX_COMMAND} characters without NUL")


def check_limits(limits: dict) -> None:
    """Check that every key is a known limit and its value a whole number within its bounds."""
    if not isinstance(limits, dict):
        raise ValueError("limits must map names to numbers")
    for name, value in limits.items():
        if name not in LIMIT_BOUNDS:
            raise ValueError(f"{name!r} is not a limit; the limits are {', '.join(DEFAULT_LIMITS)}")
        least, most = LIMIT_BOUNDS[name]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{name} must be a whole number from {least} to {most}")


def check_steps(steps: list) -> None:
    """Check that it is a list of {"name", "before", "run", "undo", "check"}, the last two optional."""
    if not isinstance(steps, list):
        raise ValueError("steps must be a list")
    seen = {kind.value for kind in StepKind} | {"pre", "post"}
    for step in steps:
        if not isinstance(step, dict) or not set(step) <= {"name", "before", "run", "undo", "check"}:
            raise ValueError('a step has only the keys "name", "before", "run", "undo" and "check"')
        name = step.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", name):
            raise ValueError("a step's name is 1 to 40 letters, digits and . _ -, the first a letter or a digit")
        if name in seen:
            raise ValueError(f"the step {name} is listed twice, or has the name of a built-in step")
        seen.add(name)
        if step.get("before") not in ANCHORS:
            raise ValueError(f"before (of the step {name}) must be one of {', '.join(ANCHORS)}")
        if not step.get("run"):
            raise ValueError(f"the step {name} needs a command: run")
        for key in ("run", "undo", "check"):
            _check_command(step.get(key) or "", f"{key} (of the step {name})")


def _check_command(text: object, what: str) -> None:
    if not isinstance(text, str) or "\0" in text or len(text) > MAX_COMMAND:
        raise ValueError(f"{what} must be a text of at most {MAX_COMMAND} characters without NUL")
