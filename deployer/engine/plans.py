"""What is done on a host, decided as data: pure functions from a service's definition and an action to an atom."""

import re

from .atom import Acts, Atom, ServiceSpec, Step, StepKind, Target
from .program import DEFAULT_LIMITS

ANCHORS = ("stop", "link", "start", "check", "post")
OWN_NAMES = {"SERVICE", "VERSION", "RELEASE", "CURRENT", "SHARED", "HOST", "PORT", "TAG", "WEIGHT", "OTHER_VERSION"}
NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"  # of services and versions: nothing that a path could be made of
USER = r"[a-z_][a-z0-9_-]{0,31}"
LONGEST_COMMAND = 16_384
_MOST = {  # the least and the most of each limit
    "step_timeout": (1, 86_400),
    "idle_timeout": (0, 86_400),
    "output_head": (65_536, 1 << 30),
    "output_tail": (1_024, 16 << 20),
    "check_passes": (1, 100),
    "disk_reserve": (0, 1 << 50),
}


def plan(
    spec: ServiceSpec,
    target: Target,
    action: str,
    old: str | None,
    new: str | None,
    *,
    sha256: str = "",
    size: int = 0,
    adopt: bool = False,
) -> Atom:
    """The atom of one operation. `action`: install, upgrade, revert or delete; `old` runs now, `new` will run then.

    `adopt` (install only): the service runs there already, so it is checked and nothing is touched.
    Raises ValueError, with a sentence, for an action that is not known and for a missing version or package.
    """
    if action not in ("install", "upgrade", "revert", "delete"):
        raise ValueError(f"{action!r} is no action")
    if not new and action != "delete":
        raise ValueError(f"{action} needs a version to go to")
    for name in (spec.name, old, new):
        if name and not re.fullmatch(NAME, name):
            raise ValueError(f"{name!r} is no name: a letter or a digit, then letters, digits and . _ + -")
    if action != "delete" and not adopt and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"{action} needs the sha256 of the package, 64 hexadecimal digits")
    check_run_as(spec.run_as, spec.private_releases)
    check_environment(spec.environment)
    check_limits(spec.limits)
    check_steps(spec.steps)
    if adopt:
        steps = [_prepare(), *_check(spec)]
    elif action == "delete":
        steps = _delete_steps(spec, bool(old))
    else:
        steps = _change_steps(spec, action)
    return Atom(
        action=action,
        directory=f"{_absolute(target.base_path)}/{spec.name}",
        old=old or "",
        new=new or "" if action != "delete" else "",
        steps=tuple(steps),
        environment=_environment(spec, target),
        sha256="" if adopt or action == "delete" else sha256,
        size=size,
        keep_releases=spec.keep_releases,
        limits=dict(spec.limits),
        run_as=spec.run_as,
        private_releases=spec.private_releases,
    )


def check_run_as(user: str, private_releases: bool) -> None:
    """Raises ValueError unless it is a name of a user, or none; only a user of its own can have releases to itself."""
    if user and not re.fullmatch(USER, user):
        raise ValueError("must be a user name: a-z or _, then at most 31 of a-z, 0-9, _ and -")
    if private_releases and not user:
        raise ValueError("private releases need a user that the service runs as")


def check_environment(environment: dict) -> None:
    """Raises ValueError unless it maps names of variables to texts that a command's environment can hold."""
    if not isinstance(environment, dict):
        raise ValueError("the environment must map names to texts")
    for name, value in environment.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} is no name of a variable: a letter, then letters, digits and _")
        if name in OWN_NAMES:
            raise ValueError(f"{name} is set by the deployment itself")
        if not isinstance(value, str) or "\0" in value or len(value) > LONGEST_COMMAND:
            raise ValueError(f"{name} must be a text of at most {LONGEST_COMMAND} characters without NUL")


def check_limits(limits: dict) -> None:
    """Raises ValueError unless every key is a known limit and its value a whole number within its bounds."""
    if not isinstance(limits, dict):
        raise ValueError("limits must map names to numbers")
    for name, value in limits.items():
        if name not in _MOST:
            raise ValueError(f"{name!r} is no limit; there are {', '.join(DEFAULT_LIMITS)}")
        least, most = _MOST[name]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{name} must be a whole number from {least} to {most}")


def check_steps(steps: list) -> None:
    """Raises ValueError unless it is a list of {"name", "before", "run", "undo", "check"} (the last two optional)."""
    if not isinstance(steps, list):
        raise ValueError("steps must be a list")
    seen = {kind.value for kind in StepKind} | {"pre", "post"}
    for step in steps:
        if not isinstance(step, dict) or not set(step) <= {"name", "before", "run", "undo", "check"}:
            raise ValueError('a step is {"name", "before", "run", "undo", "check"} and nothing more')
        name = step.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", name):
            raise ValueError("a step's name is 1 to 40 letters, digits and . _ -, the first a letter or a digit")
        if name in seen:
            raise ValueError(f"the step {name} is there already, or has the name of a step that every plan has")
        seen.add(name)
        if step.get("before") not in ANCHORS:
            raise ValueError(f"before (of the step {name}) must be one of {', '.join(ANCHORS)}")
        if not step.get("run"):
            raise ValueError(f"the step {name} needs a command: run")
        for key in ("run", "undo", "check"):
            _check_command(step.get(key) or "", f"{key} (of the step {name})")


def _check_command(text: object, what: str) -> None:
    if not isinstance(text, str) or "\0" in text or len(text) > LONGEST_COMMAND:
        raise ValueError(f"{what} must be a text of at most {LONGEST_COMMAND} characters without NUL")


def _change_steps(spec: ServiceSpec, action: str) -> list[Step]:
    runs_already = action != "install"
    parts = {
        "pre": _hook("pre", "before anything is touched", spec.pre, spec.pre_undo),
        "stop": _stop(spec) if runs_already else [],
        "link": [_link(spec if runs_already and not spec.stop else None)],
        "start": _start(spec),
        "check": _check(spec),
        "post": _hook("post", "after the check", spec.post, spec.post_undo),
    }
    steps = [
        _prepare(),
        Step("upload", StepKind.UPLOAD, "take the package in and hash it, unless the release is there"),
        Step("unpack", StepKind.UNPACK, "put the release in its place"),
    ]
    for name, own in parts.items():
        steps += [_own(step) for step in spec.steps if step["before"] == name]
        steps += own
    return [*steps, Step("prune", StepKind.PRUNE, f"keep the newest {spec.keep_releases} releases")]


def _delete_steps(spec: ServiceSpec, runs: bool) -> list[Step]:
    return [
        _prepare(),
        *_hook("pre", "before anything is touched", spec.pre, spec.pre_undo),
        *(_stop(spec) if runs else []),  # an install that never ended well left nothing to stop
        Step("unlink", StepKind.UNLINK, "take current away", undo="" if spec.stop else spec.start, acts=Acts.OLD),
        Step("remove", StepKind.REMOVE, "take every release away; what is shared stays"),
        *_hook("post", "after the removal", spec.post, spec.post_undo),
    ]


def _prepare() -> Step:
    return Step("prepare", StepKind.PREPARE, "look for the right user, the tools and room on the disk")


def _hook(name: str, when: str, command: str, undo: str) -> list[Step]:
    return [Step(name, StepKind.HOOK, f"the service's hook {when}", command=command, undo=undo)] if command else []


def _own(step: dict) -> Step:
    undo = step.get("undo") or ""
    return Step(
        step["name"],
        StepKind.HOOK,
        f"the service's own step before {step['before']}",
        command=step["run"],
        undo=undo,
        check=step.get("check") or "",
        undoable=bool(undo),
    )


def _stop(spec: ServiceSpec) -> list[Step]:
    if not spec.stop:
        return []
    return [
        Step(
            "stop",
            StepKind.STOP,
            "stop the version that runs",
            command=spec.stop,
            undo=spec.start,
            check=spec.check,
            undoable=bool(spec.start),
            acts=Acts.OLD,
            undo_check=spec.check,
            undo_timeout=_patience(spec),
        )
    ]


def _link(restarted: ServiceSpec | None) -> Step:
    # Without a stop command the start command replaces what runs, so the old version is started once current is back.
    return Step(
        "link",
        StepKind.LINK,
        "let current lead to the new release",
        undo=restarted.start if restarted else "",
        undo_check=restarted.check if restarted and restarted.start else "",
        undo_timeout=_patience(restarted) if restarted else 0,
    )


def _start(spec: ServiceSpec) -> list[Step]:
    if not spec.start:
        return []
    return [
        Step(
            "start",
            StepKind.START,
            "start the new version",
            command=spec.start,
            undo=spec.stop,
            check=spec.check,
            undo_acts=Acts.NEW,
        )
    ]


def _check(spec: ServiceSpec) -> list[Step]:
    if not spec.check:
        return []
    what = f"wait until the check passes, at most {spec.check_timeout} s"
    return [Step("check", StepKind.CHECK, what, command=spec.check, timeout=spec.check_timeout)]


def _patience(spec: ServiceSpec) -> int:
    return spec.check_timeout if spec.check else 0


def _environment(spec: ServiceSpec, target: Target) -> dict[str, str]:
    own = {
        "SERVICE": spec.name,
        "HOST": target.host,
        "PORT": str(target.port),
        "TAG": target.tag,
        "WEIGHT": str(target.weight),
    }
    return {**spec.environment, **own}


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\n" in path or "\0" in path:
        raise ValueError(f"{path!r} is no absolute path")
    return path.rstrip("/")
