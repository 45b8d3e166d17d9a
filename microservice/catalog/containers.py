"""What a container service is, as its administrator fills it in, and what may be filled in. Pure.

The commands of a service stay text: container_commands.py makes them from these values, once, for the administrator to
look at and to save.

Values may name variables that every command sees, as `$PORT` or `${SHARED}`; `$$` is a `$`. Nothing else in a value
means anything to a shell.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from access.problems import FieldError
from deployer.engine.spec import OWN_NAMES

VARIABLES = frozenset(OWN_NAMES | {"IMAGE", "INSTANCE"})
ENGINES = ("docker", "podman")  # the command line of the hosts' engine
RESTARTS = ("unless-stopped", "always", "on-failure", "no")
CHECKS = ("running", "port", "url", "command")
MOST_LINES, LONGEST = 100, 1000
# `$$`, a variable, or a `$` that begins neither.
DOLLAR = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<braced>[A-Z_]+)\}|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))?")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PORTS = r"(?:[0-9]{1,5}(?:-[0-9]{1,5})?|\$PORT|\$\{PORT\})"
_ADDRESS = r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:]+\])"
_PUBLISH = re.compile(rf"(?:{_ADDRESS}:)?(?P<ports>{_PORTS}:{_PORTS})(?:/(?:tcp|udp|sctp))?")
_VOLUME = re.compile(
    r"(?:/[^:]*|\$(?:SHARED|RELEASE|CURRENT|\{(?:SHARED|RELEASE|CURRENT)\})(?:/[^:]*)?|[A-Za-z0-9][A-Za-z0-9_.-]*)"
    r":/[^:]*(?::[A-Za-z]+(?:,[A-Za-z]+)*)?"
)
_URL = re.compile(r"https?://[^\s/]\S*")
# Options without a value of their own. Any other one without `=` would take the next word for its value.
_SWITCHES = {
    "--init",
    "--interactive",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--privileged",
    "--read-only",
    "--tty",
}
# What the commands themselves decide, or what would put values into the list of arguments.
_TAKEN = {"--name", "--detach", "--rm", "--restart", "--cidfile", "--env", "--env-file", "--stop-timeout"}


@dataclass(frozen=True)
class Container:
    """One container service. Lists hold one argument each.

    `publish`: `[ADDRESS:]PORT:PORT[/udp]`, on the host and in the container. `volumes`: `FOLDER:FOLDER[:ro]`.
    `variables`: names that are handed into the container. `options`: of `docker run`. `arguments`: for the image.
    `check_value`: a port in the container, an address, or a command in the container, as `check` says.
    """

    publish: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    restart: str = RESTARTS[0]
    memory: str = ""
    cpus: str = ""
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    stop_seconds: int = 10
    engine: str = ENGINES[0]
    check: str = CHECKS[0]
    check_value: str = ""


def errors(container: Container, known: Collection[str] | None = None) -> list[FieldError]:
    """Return everything that is wrong. `known`: the variables and secrets of the service; None where none is at
    hand."""
    rules = {
        "publish": _publish_reason,
        "volumes": _volume_reason,
        "options": _option_reason,
        "arguments": lambda _line: "",
    }
    found = [error for name, reason in rules.items() if (error := _lines_error(name, getattr(container, name), reason))]
    found += _variable_errors(container.variables, known)
    for name, choices in (("restart", RESTARTS), ("engine", ENGINES)):
        if getattr(container, name) not in choices:
            found.append(FieldError(f"/{name}", "not_one_of", choices=choices))
    if container.memory and not re.fullmatch(r"[1-9][0-9]{0,15}[bkmgBKMG]?", container.memory):
        found.append(FieldError("/memory", "container_memory"))
    if container.cpus and not re.fullmatch(r"(?=.*[1-9])[0-9]{1,4}(\.[0-9]{1,9})?", container.cpus):
        found.append(FieldError("/cpus", "container_cpus"))
    if not 0 <= container.stop_seconds <= 86_400:
        found.append(FieldError("/stop_seconds", "container_seconds", min=0, max=86_400))
    return found + _check_errors(container)


def _lines_error(name: str, lines: tuple[str, ...], reason_of: Callable[[str], str]) -> FieldError | None:
    if len(lines) > MOST_LINES:
        return FieldError(f"/{name}", "container_lines", max=MOST_LINES)
    for line in lines:
        reason = _text_reason(line) or _dollar_reason(line) or reason_of(line)
        if reason:
            return FieldError(f"/{name}", reason, value=line[:80])
    return None


def _text_reason(line: str) -> str:
    if not line or len(line) > LONGEST:
        return "container_length"
    return "container_characters" if _CONTROL.search(line) else ""


def _dollar_reason(line: str) -> str:
    for match in DOLLAR.finditer(line):
        if not match["escaped"] and (match["braced"] or match["bare"]) not in VARIABLES:
            return "container_dollar"
    return ""


def _publish_reason(line: str) -> str:
    match = _PUBLISH.fullmatch(line)
    return "" if match and all(map(_is_port, re.findall(r"[0-9]+", match["ports"]))) else "container_publish"


def _volume_reason(line: str) -> str:
    return "" if _VOLUME.fullmatch(line) else "container_volume"


def _option_reason(line: str) -> str:
    name, sign, _value = line.partition("=")
    if not re.fullmatch(r"--[a-z][a-z0-9-]*", name):
        return "container_option"
    if name in _TAKEN:
        return "container_option_taken"
    return "" if sign or name in _SWITCHES else "container_option_value"


def _variable_errors(names: tuple[str, ...], known: Collection[str] | None) -> list[FieldError]:
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            return [FieldError("/variables", "variable_name", name=repr(name[:80]))]
        if known is not None and name not in known and name not in VARIABLES:
            return [FieldError("/variables", "container_variable_unknown", name=name)]
    return [FieldError("/variables", "container_lines", max=MOST_LINES)] if len(names) > MOST_LINES else []


def _check_errors(container: Container) -> list[FieldError]:
    value, kind = container.check_value, container.check
    if kind not in CHECKS:
        return [FieldError("/check", "not_one_of", choices=CHECKS)]
    if kind == "running":
        return [FieldError("/check_value", "container_check_nothing")] if value else []
    if not value:
        return [FieldError("/check_value", "container_check_value")]
    if reason := _text_reason(value) or (_dollar_reason(value) if kind != "command" else ""):
        return [FieldError("/check_value", reason, value=value[:80])]
    if kind == "port" and not (value in ("$PORT", "${PORT}") or _is_port(value)):
        return [FieldError("/check_value", "container_port")]
    if kind == "url" and not _URL.fullmatch(value):
        return [FieldError("/check_value", "container_url")]
    return []


def _is_port(text: str) -> bool:
    # A leading 0 would make it octal for a shell.
    return bool(re.fullmatch(r"[1-9][0-9]{0,4}", text)) and int(text) <= 65_535
