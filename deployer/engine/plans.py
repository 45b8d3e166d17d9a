"""Plan what is done on a host, as data: pure functions from a service's definition and an action to an atom."""

import re

from .atom import Acts, Atom, ServiceSpec, Step, StepKind, Target
from .spec import LATER_NAMES, NAME, PULL, check_environment, check_image, check_limits, check_run_as, check_steps


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
    old_image: str = "",
    new_image: str = "",
) -> Atom:
    """Return the atom of one operation. `action`: install, upgrade, revert or delete; `old` runs now, `new`
    afterwards.

    `adopt` (install only): the service runs there already, so it is checked and nothing is changed. `old_image`,
    `new_image`: what the versions are, by digest, where they are images.
    Raise ValueError, with a sentence, for an unknown action, a missing version or package, and an invalid definition.
    """
    if action not in ("install", "upgrade", "revert", "delete"):
        raise ValueError(f"{action!r} is not an action")
    if not new and action != "delete":
        raise ValueError(f"{action} needs a version to go to")
    for name in (spec.name, old, new):
        if name and not re.fullmatch(NAME, name):
            raise ValueError(f"{name!r} is not a valid name: a letter or a digit, then letters, digits and . _ + -")
    if action != "delete" and not adopt and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"{action} needs the sha256 of the package, 64 hexadecimal digits")
    check_run_as(spec.run_as, spec.private_releases)
    # What a service was allowed before it has an image is no reason to refuse it as it was saved.
    check_environment(spec.environment, allowed=LATER_NAMES)
    check_limits(spec.limits)
    check_steps(spec.steps, allowed=frozenset() if new_image else {PULL})
    for image in (old_image, new_image):
        check_image(image)
    if adopt:
        steps = [_prepare(), *_check(spec)]
    elif action == "delete":
        steps = _delete_steps(spec, bool(old))
    else:
        steps = _change_steps(spec, action, new_image)
    return Atom(
        action=action,
        directory=f"{_absolute(target.base_path)}/{spec.name}",
        old=old or "",
        new=new or "" if action != "delete" else "",
        steps=tuple(steps),
        environment=_environment(spec, target, old_image or new_image),
        sha256="" if adopt or action == "delete" else sha256,
        size=size,
        keep_releases=spec.keep_releases,
        limits=dict(spec.limits),
        run_as=spec.run_as,
        private_releases=spec.private_releases,
        old_image=old_image,
        new_image="" if action == "delete" else new_image,
    )


def _change_steps(spec: ServiceSpec, action: str, image: str) -> list[Step]:
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
        Step("upload", StepKind.UPLOAD, "receive and verify the package, unless the release is there"),
        Step("unpack", StepKind.UNPACK, "move the release into place"),
        *_pull(image),
    ]
    for name, own in parts.items():
        steps += [_own(step) for step in spec.steps if step["before"] == name]
        steps += own
    return [*steps, Step("prune", StepKind.PRUNE, f"keep the newest {spec.keep_releases} releases, remove older ones")]


def _delete_steps(spec: ServiceSpec, runs: bool) -> list[Step]:
    return [
        _prepare(),
        *_hook("pre", "before anything is touched", spec.pre, spec.pre_undo),
        *(_stop(spec) if runs else []),  # an install that never ended well left nothing to stop
        Step(
            "unlink", StepKind.UNLINK, "remove the `current` link", undo="" if spec.stop else spec.start, acts=Acts.OLD
        ),
        Step("remove", StepKind.REMOVE, "remove all releases (keep shared/)"),
        *_hook("post", "after the removal", spec.post, spec.post_undo),
    ]


def _unlink(spec: ServiceSpec) -> Step:
    undo = "" if spec.stop else spec.start
    return Step("unlink", StepKind.UNLINK, "remove the `current` link", undo=undo, acts=Acts.OLD)


def _prepare() -> Step:
    return Step("prepare", StepKind.PREPARE, "check user, tools and free disk space")


def _pull(image: str) -> list[Step]:
    # Before anything else of the service runs: it is not down while an image loads, and a sign-in at the registry is
    # forgotten before its first command.
    return [Step(PULL, StepKind.PULL, f"pull the image {image}, unless the host has it")] if image else []


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
            "stop the running version",
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
        "point `current` at the new release",
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


def _environment(spec: ServiceSpec, target: Target, image: str) -> dict[str, str]:
    own = {
        "SERVICE": spec.name,
        "HOST": target.host,
        "PORT": str(target.port),
        "TAG": target.tag,
        "WEIGHT": str(target.weight),
    }
    environment = {"INSTANCE": str(target.instance), **spec.environment, **own}
    if image:  # the host exports that of the version which a command acts for
        environment.pop("IMAGE", None)
    return environment


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\n" in path or "\0" in path:
        raise ValueError(f"{path!r} is not an absolute path")
    return path.rstrip("/")
