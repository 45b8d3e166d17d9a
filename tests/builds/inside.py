"""Commands run by each means of the sandbox, as a worker would: `python -m tests.builds.inside` does the same
in a process of its own, as another user or to be killed."""

import argparse
import os
import sys

from django.conf import settings

from builds.providers import BuildRefused
from builds.sandbox import cgroups, means
from builds.sandbox.commands import Isolation
from builds.sandbox.holding import Unheld
from builds.sandbox.layout import Mount
from builds.sandbox.running import BuildTimedOut, Command, Run
from builds.sandbox.watching import Limits
from messages import Message


def run(
    way: Isolation,
    script: str,
    limits: Limits,
    base: cgroups.Base | None = None,
    mounts: tuple[Mount, ...] = (),
    environment: dict | None = None,
) -> str:
    """Return what the script printed. Raises BuildRefused and BuildTimedOut."""
    with Run(way, (), limits, Unheld(), base) as one:
        home = () if way.means == "off" else (one.home("home"),)
        one.execute(
            Command(
                Message("build_step.command"),
                ["sh", "-c", script],
                {"HOME": one.inside("home"), **(environment or {})},
                one.inside("work"),
                (*home, *mounts),
                network=True,
            )
        )
        return one.text()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("means")
    parser.add_argument("script")
    parser.add_argument("--network", action="store_true")
    for name in ("memory", "processes", "disk", "seconds"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--uid", type=int, default=0)
    given = parser.parse_args()
    settings.configure(USE_I18N=False)  # errors are rendered as messages are, in English
    if given.uid:
        os.setgroups([])
        os.setresgid(given.uid, given.uid, given.uid)
        os.setresuid(given.uid, given.uid, given.uid)
    chosen = {name: getattr(given, name) for name in ("memory", "processes", "disk", "seconds") if getattr(given, name)}
    way = Isolation(given.means, given.network, os.geteuid() == 0)
    print("reason:", means.try_out(way) if given.means != "off" else "", flush=True)
    try:
        print(run(way, given.script, Limits(**{"seconds": 60, **chosen})), end="")
    except (BuildRefused, BuildTimedOut) as error:
        print("refused:", error)
        sys.exit(3)


if __name__ == "__main__":
    main()
