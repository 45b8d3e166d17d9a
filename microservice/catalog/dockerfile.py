"""Turns a recipe into a Dockerfile and the files of its build context. Pure.

Every value is data: it stands in a JSON list, which no shell reads, or quoted as Dockerfiles quote. The only shell text
is the recipe's `run`, and one script of ours that takes its packages as arguments.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from access.secrets import Secret

from .recipes import RESERVED

NAME = f"{RESERVED}/Dockerfile"
_SOURCES, _SOURCES_TARGET = f"{RESERVED}/sources.list", "/etc/apt/sources.list.d/recipe.list"
_APT = (
    "set -e; export DEBIAN_FRONTEND=noninteractive; apt-get update; "
    'apt-get install --yes --no-install-recommends -- "$@"; rm -rf /var/lib/apt/lists/*'
)
_HAS_PYTHON = (
    "import sys; has = '.'.join(map(str, sys.version_info[:3])); wanted = sys.argv[1]; "
    "(has + '.').startswith(wanted + '.') or sys.exit('The base has Python %s, not %s' % (has, wanted))"
)
_SECRETS = "/run/secrets"
# The names of secrets up to --, then the program. The shell cuts line ends from what `cat` printed, so a dot is added.
_WITH_SECRETS = f"""set -e
while [ "$1" != -- ]; do
  _deployer_value=$(cat "{_SECRETS}/$1"; printf .)
  export "$1=${{_deployer_value%.}}"
  shift
done
shift
unset _deployer_value
exec "$@"
"""
_WITH_SECRETS_NAME = "with-secrets"  # no secret has a dash in its name
_MAX_LINE = 100  # characters of an instruction, beyond which each argument has a line of its own


@dataclass(frozen=True, slots=True)
class ContextFile:
    """A file that is added to the build context."""

    name: str
    content: bytes
    mode: int = 0o644


def render(
    recipe: Mapping[str, Any], base: str = "", secrets: Iterable[str] = (), labels: Mapping[str, str] | None = None
) -> str:
    """Return the Dockerfile of a checked recipe. `base`: with the digest that it stands for now; `secrets`: the names
    of the build's secrets; `labels`: of the image and of every layer."""
    names = tuple(secrets)
    lines = [
        f"# From the recipe, with the base {recipe['base']}",
        f"FROM {base or recipe['base']}",
        *_assigned("LABEL", {**(labels or {}), **{name: recipe[name] for name in ("maintainer",) if name in recipe}}),
        *_assigned("ENV", dict(sorted(recipe.get("env", {}).items()))),
        # A base may have a user of its own, who may not install anything.
        *(["USER 0"] if recipe.get("user") else []),
        *_apt(recipe, names),
        *_python(recipe, names),
        *([f"WORKDIR {recipe['workdir']}"] if recipe.get("workdir") else []),
        *(_copy(number, file) for number, file in enumerate(recipe.get("files", ()))),
        *(run(["/bin/sh", "-c", command], names) for command in recipe.get("run", ())),
        *([f"EXPOSE {' '.join(map(str, recipe['expose']))}"] if recipe.get("expose") else []),
        *([f"USER {recipe['user']}"] if recipe.get("user") else []),
        *(_words(name.upper(), recipe[name]) for name in ("entrypoint", "cmd") if name in recipe),
    ]
    return "\n".join(lines) + "\n"


def context_files(recipe: Mapping[str, Any]) -> list[ContextFile]:
    """Return the files that the Dockerfile copies from our own folder of the context."""
    files = [
        ContextFile(_source(number), file["text"].encode(), int(file.get("mode", "644"), 8))
        for number, file in enumerate(recipe.get("files", ()))
        if "text" in file
    ]
    if sources := recipe.get("apt", {}).get("sources"):
        files.append(ContextFile(_SOURCES, "".join(f"{line}\n" for line in sources).encode()))
    return files


def repository_paths(recipe: Mapping[str, Any]) -> list[str]:
    """Return what it copies from the service's repository; "." alone where that is all of it."""
    paths = sorted({file["from"] for file in recipe.get("files", ()) if "from" in file})
    return ["."] if "." in paths else paths


def run(arguments: Sequence[str], secrets: Sequence[str]) -> str:
    """Return the instruction that runs a program while the image is built.

    `secrets`: names of secrets. Each is mounted for this step alone, and read into the program's environment there, so
    neither the image nor its history has it. Any user of the base may be the one that runs it.
    """
    if not secrets:
        return _words("RUN", arguments)
    files = [_WITH_SECRETS_NAME, *secrets]
    mounts = [f"--mount=type=secret,id={name},target={_SECRETS}/{name},mode=0444,required=true" for name in files]
    script = ["/bin/sh", f"{_SECRETS}/{_WITH_SECRETS_NAME}", *secrets, "--"]
    return _words(" ".join(["RUN", *mounts]), [*script, *arguments])


def mounted(secrets: Mapping[str, Secret]) -> dict[str, Secret]:
    """Return what `run` mounts: the secrets, and the script that reads them."""
    return {**secrets, _WITH_SECRETS_NAME: Secret(_WITH_SECRETS)} if secrets else {}


def quoted(value: str) -> str:
    """Return a text without control characters as one word of a Dockerfile, in which nothing is replaced."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _assigned(instruction: str, values: Mapping[str, str]) -> list[str]:
    """Return one instruction for all values, for each instruction takes an engine a tenth of a second and more."""
    words = [f"{name}={quoted(value)}" for name, value in values.items()]
    line = " ".join([instruction, *words])
    return [line if len(line) <= _MAX_LINE else " \\\n    ".join([instruction, *words])] if words else []


def _apt(recipe: Mapping[str, Any], secrets: Sequence[str]) -> list[str]:
    apt, python = recipe.get("apt", {}), recipe.get("python", {})
    packages = list(apt.get("packages", ()))
    if python.get("from") == "apt":
        packages.append(_interpreter(recipe))
        packages += ["python3-pip"] if recipe.get("pip") else []
    copies = [_words("COPY", [_SOURCES, _SOURCES_TARGET])] if apt.get("sources") else []
    return [*copies, *([run(["/bin/sh", "-c", _APT, "sh", *packages], secrets)] if packages else [])]


def _python(recipe: Mapping[str, Any], secrets: Sequence[str]) -> list[str]:
    """Return what installs or checks Python, then what conda and pip install."""
    python, conda, pip = (recipe.get(name, {}) for name in ("python", "conda", "pip"))
    lines, packages = [], list(conda.get("packages", ()))
    if python.get("from", "base") == "base" and python:
        lines.append(run([_interpreter(recipe), "-c", _HAS_PYTHON, python["version"]], secrets))
    if python.get("from") == "conda":
        packages.insert(0, f"python={python['version']}")
    if packages:
        channels = [word for channel in conda.get("channels", ()) for word in ("--channel", channel)]
        lines.append(run(["conda", "install", "--yes", "--quiet", *channels, *packages], secrets))
    if pip.get("packages"):
        index = ["-i", pip["index"]] if pip.get("index") else []
        if index and index[1].startswith("http://"):  # pip refuses it otherwise
            index += ["--trusted-host", index[1].removeprefix("http://").split("/")[0]]
        # Distributions guard their Python against pip; in an image nothing else needs it.
        start = ["env", "PIP_BREAK_SYSTEM_PACKAGES=1", "PIP_ROOT_USER_ACTION=ignore", _interpreter(recipe), "-m", "pip"]
        options = ["install", "--no-cache-dir", "--disable-pip-version-check", *index, "--"]
        lines.append(run([*start, *options, *pip["packages"]], secrets))
    return lines


def _interpreter(recipe: Mapping[str, Any]) -> str:
    python = recipe.get("python", {})
    if python.get("from") == "apt":
        return "python" + ".".join(python["version"].split(".")[:2])
    return "python" if recipe.get("conda") or python.get("from") == "conda" else "python3"


def _copy(number: int, file: Mapping[str, Any]) -> str:
    return _words("COPY", [file["from"] if "from" in file else _source(number), file["path"]])


def _source(number: int) -> str:
    return f"{RESERVED}/files/{number}"


def _words(instruction: str, words: Sequence[str]) -> str:
    """Return an instruction whose arguments are a JSON list. A line must not become too long for the engine."""
    # "<<" would begin a here-document where it stood outside of quotes: some parsers look before they unquote.
    quoted_words = [
        json.dumps(word, ensure_ascii=False).replace("<", "\\u003c").replace("\x7f", "\\u007f") for word in words
    ]
    line = f"{instruction} [{', '.join(quoted_words)}]"
    if len(line) <= _MAX_LINE:
        return line
    return f"{instruction} [ \\\n    " + ", \\\n    ".join(quoted_words) + " ]"
