"""What a service may define: its user, environment, limits and steps. Pure; every check raises InvalidDefinition."""

import re
from collections.abc import Set

from .atom import StepKind
from .errors import InvalidDefinition
from .program import DEFAULT_LIMITS

ANCHORS = ("stop", "link", "start", "check", "post")
# A service that was saved before these were ours keeps its own until it is changed.
LATER_NAMES = frozenset({"IMAGE", "INSTANCE"})
OWN_NAMES = {
    *("SERVICE", "VERSION", "RELEASE", "CURRENT", "SHARED", "HOST", "PORT", "TAG", "WEIGHT", "OTHER_VERSION"),
    *LATER_NAMES,
}
PULL = StepKind.PULL.value
# What reaches a host as text: registry/name@sha256:…, with nothing that a shell would read.
IMAGE = r"[A-Za-z0-9\[][A-Za-z0-9.:/_\[\]-]{0,439}@sha256:[0-9a-f]{64}"
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
        raise InvalidDefinition("run_as_syntax")
    if private_releases and not user:
        raise InvalidDefinition("private_releases_user")


def check_image(image: str) -> None:
    """Check that it is an image by its digest, or nothing."""
    if image and not re.fullmatch(IMAGE, image):
        raise ValueError(f"{image!r} is not an image by its digest")


def check_environment(environment: dict, allowed: Set[str] = frozenset()) -> None:
    """Check that it maps names of variables to texts that a command's environment can hold. `allowed`: names of ours
    that it may have all the same."""
    if not isinstance(environment, dict):
        raise InvalidDefinition("environment_not_map")
    for name, value in environment.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise InvalidDefinition("variable_name", name=repr(name))
        if name in OWN_NAMES and name not in allowed:
            raise InvalidDefinition("variable_of_deployment", name=name)
        if not isinstance(value, str) or "\0" in value or len(value) > MAX_COMMAND:
            raise InvalidDefinition("variable_value", name=name, max=MAX_COMMAND)


def check_limits(limits: dict) -> None:
    """Check that every key is a known limit and its value a whole number within its bounds."""
    if not isinstance(limits, dict):
        raise InvalidDefinition("limits_not_map")
    for name, value in limits.items():
        if name not in LIMIT_BOUNDS:
            raise InvalidDefinition("limit_unknown", name=repr(name), limits=list(DEFAULT_LIMITS))
        least, most = LIMIT_BOUNDS[name]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidDefinition("limit_bounds", name=name, min=least, max=most)


def check_steps(steps: list, allowed: Set[str] = frozenset()) -> None:
    """Check that it is a list of {"name", "before", "run", "undo", "check"}, the last two optional. `allowed`: names of
    ours that they may have all the same."""
    if not isinstance(steps, list):
        raise InvalidDefinition("steps_not_list")
    seen = ({kind.value for kind in StepKind} | {"pre", "post"}) - allowed
    for step in steps:
        if not isinstance(step, dict) or not set(step) <= {"name", "before", "run", "undo", "check"}:
            raise InvalidDefinition("step_keys")
        name = step.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", name):
            raise InvalidDefinition("step_name")
        if name in seen:
            raise InvalidDefinition("step_repeated", step=name)
        seen.add(name)
        if step.get("before") not in ANCHORS:
            raise InvalidDefinition("step_before", step=name, allowed=list(ANCHORS))
        if not step.get("run"):
            raise InvalidDefinition("step_without_run", step=name)
        for key in ("run", "undo", "check"):
            _check_command(step.get(key) or "", key, name)


def _check_command(text: object, key: str, step: str) -> None:
    if not isinstance(text, str) or "\0" in text or len(text) > MAX_COMMAND:
        raise InvalidDefinition("step_command", key=key, step=step, max=MAX_COMMAND)
