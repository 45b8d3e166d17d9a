"""The text that goes to a host: pure builders, tested by their exact text and by running it without SSH.

A program is one line of what this call is about, the atom as quoted assignments, and the constant body (runner/*.sh).
The host keeps all of it but the first line, so a run that died is undone by the very program that it was started with.
"""

import re
import time
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from importlib import resources
from typing import NamedTuple

from . import failpoints
from .atom import Acts, Atom, Step, StepKind

LONGEST_PROGRAM = 120_000  # one environment string, where the host's sudo makes `setsid` necessary
PARTS = (
    "variables",
    "events",
    "output",
    "processes",
    "watchdog",
    "lock",
    "commands",
    "relay",
    "release",
    "removal",
    "foresee",
    "steps",
    "undo",
    "recover",
    "main",
)
DEFAULT_LIMITS = {
    "step_timeout": 600,
    "idle_timeout": 0,
    "output_head": 8 << 20,
    "output_tail": 256 << 10,
    "check_passes": 1,
    "disk_reserve": 0,
}


class Answer(IntEnum):
    """What the program's exit status says. All but OVER mean that nothing was done by this call."""

    OVER = 0  # the run has ended, and its `end` event was printed
    CANNOT_WRITE = 40  # the service's folder cannot be made or written, or its disk is full
    LOWER_FENCE = 41  # a higher fence was seen on this host: another worker is in charge
    BUSY = 42  # another run is alive, or is about to be recovered
    EXISTS = 43  # start: this run exists already; attach to it
    NO_RUN = 44  # attach: there is no such run; start it
    NO_TOOL = 45  # a program that the runner needs is missing; standard error names it
    UNSETTLED = 46  # another operation's run has no end and could not be brought to one
    OTHER_HOST = 47  # start: the folder has the mark of another host; standard error names it


@dataclass(frozen=True)
class Run:
    """One operation to be carried out. `nonce`: letters and digits, new for each connection. `encoding`: of what the
    commands print, see text.py. `mark`: what the host's folder is marked with, "" for none; a folder with another one's
    mark is refused. `sign_in`: for the image's registry, as one line of an engine's config.json, "" for none."""

    operation: int
    fence: int
    atom: Atom
    nonce: str
    encoding: str = ""
    mark: str = ""
    sign_in: str = field(default="", repr=False)


class Parts(NamedTuple):
    """What only some programs need."""

    fetching: bool = False
    run_as: bool = False
    images: bool = False


def quote(value: str) -> str:
    """Quote `value` as one word of shell text, whatever is in it. Raise ValueError for NUL, which no shell can hold."""
    if "\0" in value:
        raise ValueError("must not contain a NUL byte")
    return "'" + value.replace("'", "'\\''") + "'"


def command(size: int, sudo: bool) -> str:
    """Return the command line for `size` bytes of program: no newline, `!` or inner quote: any login shell takes it."""
    return (
        f"exec {'sudo -n ' if sudo else ''}sh -c "
        f"'PROGRAM=$(dd bs={size:d} count=1 iflag=fullblock 2>&-); eval \"$PROGRAM\"'"
    )


def start(run: Run, output_from: int = 0, now: float | None = None, fetching: int = 0) -> bytes:
    """Return the program that starts the run. The package follows on standard input where the host says `need`; with
    `fetching` first a line that says whether to fetch it from somewhere else (runner/fetch.sh), which is given up where
    nothing comes for so many seconds.

    A run that was cut is started again, and its output goes on: `output_from` says how much of it is known.
    `now` is the time (seconds since 1970) that the journal counts from; the caller's clock if not given.
    """
    call = _call("start", run, now) + f" _FROM={output_from:d}" + (f" _FETCHING={fetching:d}" if fetching else "")
    if run.mark:
        call += f" _MARK={quote(_one_line(run.mark))}"
    if sign_in(run):
        call += " _SIGNS_IN=yes"
    atom = run.atom
    return _text(call, _atom(atom), Parts(bool(fetching), bool(atom.run_as), bool(atom.old_image or atom.new_image)))


def sign_in(run: Run) -> bytes:
    """Return what comes between the program and the package: a line of no program, for the host keeps programs."""
    return f"{_one_line(run.sign_in)}\n".encode() if run.sign_in and run.atom.pulls else b""


def attach(run: Run, journal_from: int, output_from: int, cancel: bool = False, now: float | None = None) -> bytes:
    """Return the program that follows the run to its end, recovering it if it died.

    It prints events numbered above `journal_from` and output from the byte `output_from` on.
    """
    seen = f" _SEEN={journal_from:d} _FROM={output_from:d} _CANCEL={int(cancel)}"
    # A cancel that does the work of a dead watchdog has to end the processes of the service's user too.
    user = f" _AS={quote(run.atom.run_as)}" if run.atom.run_as else ""
    return _text(_call("attach", run, now) + seen + user, "", Parts(run_as=bool(user)))


def _call(mode: str, run: Run, now: float | None) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{1,64}", run.nonce):
        raise ValueError("a nonce is letters and digits")
    centiseconds = int((time.time() if now is None else now) * 100)
    return (
        f"_MODE={mode} _NONCE={run.nonce} _OP={run.operation:d} _FENCE={run.fence:d} _NOW={centiseconds}"
        f" _DIR={quote(_one_line(run.atom.directory))}"
    )


def _text(call: str, atom: str, parts: Parts) -> bytes:
    text = f"{call}\n{atom}{body(*parts)}".encode()
    if len(text) > LONGEST_PROGRAM:
        raise ValueError(f"the commands and the environment are too long: {len(text)} bytes of {LONGEST_PROGRAM}")
    return text


def _atom(atom: Atom) -> str:
    limits = {**DEFAULT_LIMITS, **atom.limits}
    values = {
        "_OLD": atom.old,
        "_NEW": atom.new,
        "_ENV": "".join(f"export {name}={quote(value)}\n" for name, value in atom.environment.items()),
        "_SHA": atom.sha256,
        "_SIZE": atom.size,
        "_KEEP": atom.keep_releases,
        "_STEPS": len(atom.steps),
    }
    values |= {f"_{name.upper()}": limits[name] for name in DEFAULT_LIMITS}
    if atom.run_as:
        # The folder quoted once more: it goes into shell text on the host.
        quoted, closed = quote(_one_line(atom.directory)), "yes" if atom.private_releases else ""
        values |= {"_AS": atom.run_as, "_QDIR": quoted, "_CLOSED": closed}
    if atom.old_image or atom.new_image:
        values |= {"_OLD_IMAGE": atom.old_image, "_NEW_IMAGE": atom.new_image}
    for position, step in enumerate(atom.steps):
        values |= {f"{name}{position}": value for name, value in _step(step, atom, limits).items()}
    return "".join(f"{name}={quote(str(value))}\n" for name, value in values.items())


def _step(step: Step, atom: Atom, limits: dict) -> dict[str, object]:
    versions = {Acts.OLD: atom.old or atom.new, Acts.NEW: atom.new or atom.old}
    usual = 0 if step.kind is StepKind.UPLOAD else limits["step_timeout"]
    return {
        "_kind": step.kind.value,
        "_name": step.name,
        "_run": step.command,
        "_undo": step.undo,
        "_check": step.check,
        "_undoable": "yes" if step.undoable else "",
        "_acts": versions[step.acts],
        "_undo_acts": versions[step.undo_acts],
        "_timeout": step.timeout or usual,
        "_undo_check": step.undo_check,
        "_undo_timeout": step.undo_timeout,
    }


def _one_line(value: str) -> str:
    if "\n" in value:
        raise ValueError("a path on a host must not contain a newline")
    return value


@cache
def body(fetching: bool = False, run_as: bool = False, images: bool = False) -> str:
    """Return the constant part: runner/*.sh in order, without comments and blank lines. Read once."""
    more = ("fetch",) * fetching + ("run_as",) * run_as + ("image",) * images + ("failpoints",) * failpoints.ARMED
    return "".join(part(name) for name in (*PARTS[:-1], *more, PARTS[-1]))


def part(name: str) -> str:
    """Return one file of runner/, without comments and blank lines."""
    # Not splitlines: it takes the separators of the journal (runner/variables.sh) for ends of lines.
    lines = (resources.files(__package__) / "runner" / f"{name}.sh").read_text("ascii").split("\n")
    if failpoints.ARMED:
        lines = [line.replace("# crash: ", "_crash ") for line in lines]
    return "".join(f"{line.lstrip()}\n" for line in lines if line.strip() and not line.lstrip().startswith("#"))
