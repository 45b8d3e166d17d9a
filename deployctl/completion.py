"""Completion in shells: each asks `deployctl complete WORDS` for what may follow."""

from __future__ import annotations

import argparse

from .cli import COMMANDS, Parser, argument, command, say
from .context import Context

SCRIPTS = {
    "bash": """\
_deployctl() {
    local IFS=$'\\n'
    COMPREPLY=($(deployctl complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _deployctl deployctl
""",
    "zsh": """\
_deployctl() {
    compadd -- ${(f)"$(deployctl complete "${(@)words[2,$CURRENT]}" 2>/dev/null)"}
}
compdef _deployctl deployctl
""",
    "fish": """\
complete -c deployctl -f -a '(deployctl complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
""",
}


@command("completion", argument("shell", choices=sorted(SCRIPTS)))
def completion(context: Context, arguments: argparse.Namespace) -> None:
    """Print the completion script for SHELL: eval "$(deployctl completion bash)"."""
    say(SCRIPTS[arguments.shell].rstrip())


def candidates(words: list[str]) -> list[str]:
    """Return what may stand in place of the last word. Pure."""
    *given, begun = words or [""]
    path = tuple(word for word in given if not word.startswith("-"))
    for length in range(len(path), 0, -1):
        if path[:length] in COMMANDS:
            return _beginning(begun, _options(path[:length]) if begun.startswith("-") else [])
    following = {known[len(path)] for known in COMMANDS if known[: len(path)] == path and len(known) > len(path)}
    return _beginning(begun, sorted(following))


def _options(words: tuple[str, ...]) -> list[str]:
    one = Parser()
    for part in COMMANDS[words].parts:
        part(one)
    return sorted(name for action in one._actions for name in action.option_strings if name.startswith("--"))


def _beginning(begun: str, words: list[str]) -> list[str]:
    return [word for word in words if word.startswith(begun)]
