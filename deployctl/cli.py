"""Commands on argparse: each is a function with its arguments, found by its words. The functions are beside this."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Any, NoReturn

from .exits import Ended, Exit

Part = Callable[[argparse.ArgumentParser], Any]  # adds an argument to a parser


@dataclass(frozen=True)
class Command:
    words: tuple[str, ...]
    run: Callable[..., None]
    parts: tuple[Part, ...]

    @property
    def help(self) -> str:
        return cleandoc(self.run.__doc__ or "")


COMMANDS: dict[tuple[str, ...], Command] = {}
# In --help, what is used most comes first; the others follow by name.
FIRST = ("versions", "deploy", "install", "upgrade", "revert", "status", "logs", "causes", "retry", "cancel")
GROUPS = {
    "versions": "Manage the versions of a service.",
    "builds": "List the builds of all services, and cancel one.",
    "environments": "Manage environments: the places where services run.",
    "images": "Look into images.",
    "hosts": "Manage hosts.",
    "instances": "Manage instances: a service on a host.",
    "services": "Manage services.",
    "trains": "Start, list and control release trains.",
}


def command(words: str, *parts: Part) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as the command of these words: `function(context, arguments)`. Its docstring is the help:
    the first paragraph says what it does, examples may follow."""

    def register(run: Callable[..., None]) -> Callable[..., None]:
        known = Command(tuple(words.split()), run, parts)
        COMMANDS[known.words] = known
        return run

    return register


def argument(*names: str, **more: Any) -> Part:
    """Return an argument or an option, as argparse takes it."""
    return lambda parser: parser.add_argument(*names, **more)


class Parser(argparse.ArgumentParser):
    """Raises Ended for arguments that are not valid."""

    def __init__(self, **more: Any):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **more)

    def error(self, message: str) -> NoReturn:
        raise Ended(f"{message[:1].upper()}{message[1:]}.\n{self.format_usage().strip()}", Exit.USAGE_ERROR)


def parser(description: str, *parts: Part) -> Parser:
    """Return the parser of all commands; `arguments.command` is the one that was given."""
    main = Parser(prog="deployctl", description=description)
    for part in parts:
        part(main)
    places: dict[tuple[str, ...], Any] = {(): _subcommands(main)}
    for words, known in sorted(COMMANDS.items(), key=_place):
        group = words[:-1]
        if group not in places:
            text = GROUPS[group[0]]
            one = places[()].add_parser(group[0], help=text, description=text)
            places[group] = _subcommands(one)
        short = known.help.partition("\n\n")[0].replace("\n", " ").replace("%", "%%")
        one = places[group].add_parser(words[-1], help=short, description=known.help)
        for part in known.parts:
            part(one)
        one.set_defaults(command=known)
    return main


def _place(item: tuple[tuple[str, ...], Command]) -> tuple[int, tuple[str, ...]]:
    words, _ = item
    return FIRST.index(words[0]) if words[0] in FIRST else len(FIRST), words


def _subcommands(of: argparse.ArgumentParser) -> Any:
    return of.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)


# --- values ----------------------------------------------------------------------------------------------------------


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return the type of a whole number within these bounds."""

    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else -1
        if number < least or (most is not None and number > most):
            bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a number {bounds}")
        return number

    return parse


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def existing_file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"file {text!r} does not exist")
    return path


def say(text: str, err: bool = False) -> None:
    print(text, file=sys.stderr if err else sys.stdout, flush=True)
