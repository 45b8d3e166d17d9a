"""Which tools an image has, in the words of a recipe: the script that asks, and what it said. Pure.

The script runs in a locked-down container (containers.py). What it prints is the image's own word: it is bounded here,
and decides nothing but what a form is filled with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAMES = ("sh", "python", "pip", "conda", "apt")
ENVIRONMENT = {"HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # noqa: S108
SECONDS = 12.0  # of the whole script: conda alone takes some
MAX_PATH, MAX_VERSION = 200, 30  # characters
_VERSION = re.compile(r"(?<![\d.])\d{1,9}\.\d[A-Za-z0-9.+~-]*")
_FOR_RECIPE = re.compile(r"[23](?:\.\d{1,3}){1,2}")

# Only what each shell has by itself. One line for each tool: its name, its path, what it says of its version.
SCRIPT = r"""
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/conda/bin:/opt/miniconda/bin
tool() {
    name=$1; shift
    for each; do
        path=$(command -v "$each" 2>/dev/null) || continue
        case $path in /*) ;; *) continue ;; esac
        said=$("$path" --version 2>&1 </dev/null) || continue
        printf '%s\t%s\t%s\n' "$name" "$path" "${said%%
*}"
        return
    done
}
printf 'sh\t/bin/sh\t\n'
tool python python3 python
tool pip pip3 pip
tool conda conda mamba
tool apt apt-get
"""
COMMAND = ["/bin/sh", "-c", SCRIPT]


@dataclass(frozen=True)
class Tool:
    """`version` is "" where the tool has none."""

    path: str
    version: str = ""


def found(output: str) -> dict[str, Tool | None]:
    """Return each of NAMES with what the script found; None where the image does not have it."""
    tools: dict[str, Tool | None] = dict.fromkeys(NAMES)
    for line in output.splitlines():
        name, _, rest = line.partition("\t")
        path, _, said = rest.partition("\t")
        if name in tools and tools[name] is None and path.startswith("/") and path.isprintable():
            version = _VERSION.search(said)
            tools[name] = Tool(path[:MAX_PATH], version[0][:MAX_VERSION] if version else "")
    return tools


def recipe(base: str, tools: Mapping[str, Tool | None]) -> dict[str, Any]:
    """Return the beginning of a recipe on this base: what of it is known by now."""
    python = tools.get("python")
    version = _FOR_RECIPE.match(python.version) if python else None
    return {"base": base, **({"python": {"version": version[0]}} if version else {})}
