"""The three commands of a container service: pure, from a Container that containers.py has accepted.

A container belongs to an instance if its labels say so: they hold the instance's folder on the host and its number. So
neither another instance nor another installation on the same engine is ever touched, whatever its containers are named.
"""

import re

from deployer.engine.program import quote

from .containers import DOLLAR, Container

_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./=-]+")
_OURS = '\t--filter "label=deployer.folder=${CURRENT%/current}" --filter "label=deployer.instance=$INSTANCE"'


def commands(container: Container) -> dict[str, str]:
    """Return {"start_command", "stop_command", "check_command"} as shell text for dash, bash and busybox."""
    return {
        "start_command": _start(container),
        "stop_command": _stop(container),
        "check_command": _check(container),
    }


def word(text: str) -> str:
    """Return one word of shell text. Variables that containers.py allows are expanded; all else is literal."""
    if "$" not in text:
        return text if _PLAIN.fullmatch(text) else quote(text)
    parts, at = [], 0
    for match in DOLLAR.finditer(text):
        parts.append(_literal(text[at : match.start()]))
        name, at = match["braced"] or match["bare"], match.end()
        follows = text[at : at + 1]
        braces = follows == "_" or (follows.isascii() and follows.isalnum())
        parts.append(f"${{{name}}}" if name and braces else f"${name}" if name else "\\$")
    return '"' + "".join(parts) + _literal(text[at:]) + '"'


def _literal(text: str) -> str:
    return re.sub(r'([\\"`$])', r"\\\1", text)


def _start(container: Container) -> str:
    words = [f"--restart {container.restart}"]
    words += [f"--memory {container.memory}"] * bool(container.memory)
    words += [f"--cpus {container.cpus}"] * bool(container.cpus)
    words += [f"--publish {word(line)}" for line in container.publish]
    words += [f"--volume {word(line)}" for line in container.volumes]
    words += [f"--env {name}" for name in container.variables]
    words += [word(line) for line in container.options]
    run = "".join(f"\t{each} \\\n" for each in words)
    last = " ".join(['"$IMAGE"', *(word(line) for line in container.arguments)])
    return (
        ': "${IMAGE:?this version has no image}" "${INSTANCE:?}"\n'
        + "# What is left of our own container would take the name.\n"
        + _each(container)
        + f'\t{container.engine} stop --time {container.stop_seconds} "$each" >/dev/null\n'
        + f'\t{container.engine} rm --force "$each" >/dev/null || exit\n'
        + "done\n"
        + "".join(_made(line) for line in container.volumes)
        + f'{container.engine} run --detach --name "$(printf %s "$SERVICE-$INSTANCE" | tr + -)" \\\n'
        + '\t--label "deployer.folder=${CURRENT%/current}" --label "deployer.instance=$INSTANCE" \\\n'
        + '\t--label "deployer.version=$VERSION" \\\n'
        + f"{run}\t{last} >/dev/null\n"
    )


def _each(container: Container) -> str:
    """Begin a loop over the instance's containers; there is one, or none."""
    return f"ours=$({container.engine} ps --all --quiet \\\n{_OURS}) || exit\nfor each in $ours; do\n"


def _made(volume: str) -> str:
    """Make a folder below shared/ as the service's user: the engine would make it as root."""
    folder = volume.partition(":")[0]
    if not re.match(r"\$(SHARED|\{SHARED\})/", folder):
        return ""
    return f"[ -e {word(folder)} ] || mkdir -p {word(folder)} || exit\n"


def _stop(container: Container) -> str:
    return (
        "# Show the last lines of a container's output: they go away with it.\n"
        + _each(container)
        + f'\t{container.engine} logs --tail 20 "$each" 2>&1\n'
        + f'\t{container.engine} stop --time {container.stop_seconds} "$each" >/dev/null || exit\n'
        + f'\t{container.engine} rm --force "$each" >/dev/null || exit\n'
        + "done\n"
    )


def _check(container: Container) -> str:
    early = "'Up Less '* | 'Up 1 second'* | 'Up 2 second'* | " if container.check == "running" else ""
    return (
        f"found=$({container.engine} ps --all \\\n{_OURS} \\\n"
        "\t--filter \"label=deployer.version=$VERSION\" --format '{{.ID}} {{.Status}}') || exit\n"
        "id=${found%% *} status=${found#* }\n"
        "case $status in\n"
        f"{early}*'(unhealthy)' | *starting')' | *'(Paused)') runs='' ;;\n"
        "'Up '*) runs=yes ;;\n"
        "*) runs='' ;;\n"
        "esac\n"
        'if [ -z "$runs" ]; then\n'
        '\techo "the container of $VERSION: ${status:-there is none}"\n'
        f'\t[ -z "$id" ] || {container.engine} logs --tail 3 "$id" 2>&1\n'
        "\texit 1\n"
        "fi\n" + _answers(container.engine, container.check, container.check_value)
    )


def _answers(engine: str, kind: str, value: str) -> str:
    if kind == "url":
        address = word(value)
        return (
            "unset http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY\n"
            f"if command -v curl >/dev/null; then curl -fsS -m 5 -o /dev/null {address}\n"
            f"else wget -q -T 5 -O /dev/null {address}; fi\n"
        )
    if kind == "port":
        port = "$PORT" if "PORT" in value else value
        return (
            f"pid=$({engine} inspect "
            "--format '{{.State.Pid}}' \"$id\") || exit\n"
            f'hex=$(printf %04X "{port}")\n'
            'grep -Eqs "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A " "/proc/$pid/net/tcp" "/proc/$pid/net/tcp6" || {\n'
            f'\techo "nothing listens on port {port} in the container"\n'
            "\texit 1\n"
            "}\n"
        )
    if kind == "command":
        return f'{engine} exec "$id" sh -c {quote(value)}\n'
    return ""
