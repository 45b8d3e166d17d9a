"""The work as shell text, the same for every contestant. $R is a host's folder, $V the version."""

import shlex

BEFORE = "mkdir -p $R/releases/.$V.part $R/run $R/tmp"
STEPS = (
    "tar xzf $R/tmp/$V.tar.gz -C $R/releases/.$V.part && mv -T $R/releases/.$V.part $R/releases/$V"
    " && rm -f $R/tmp/$V.tar.gz",
    "rm -f $R/run/pid",
    "ln -sfn releases/$V $R/current.new && mv -Tf $R/current.new $R/current",
    "echo $$ > $R/run/pid",
    "grep -qx $V $R/current/VERSION && test -s $R/run/pid",
)


def upload(root: str, host: str, version: str) -> str:
    """Return where a tool that uploads puts the package."""
    return f"{root}/{host}/tmp/{version}.tar.gz"


def commands(root: str, host: str, version: str) -> tuple[str, list[str]]:
    """Return what comes before the upload, and the steps after it."""
    names = f"R={shlex.quote(f'{root}/{host}')} V={shlex.quote(version)}; "
    return names + BEFORE, [names + step for step in STEPS]


def one_command(root: str, host: str, version: str) -> str:
    """Return all of it as one command, for a package that was uploaded before."""
    before, steps = commands(root, host, version)
    return " && ".join([before, *(step.partition("; ")[2] for step in steps)])
