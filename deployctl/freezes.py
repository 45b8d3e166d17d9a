"""The command for freezes: the times in which environments take no new deployments."""

from __future__ import annotations

import argparse
from typing import Any

from .cli import argument, command
from .context import Context
from .exits import Ended, Exit


@command(
    "freezes",
    argument("--environment", metavar="NAME", help="Only those of an environment."),
    argument("--in-force", action="store_true", help="Only those that hold now: exit status 1 if there is one."),
)
def list_freezes(context: Context, arguments: argparse.Namespace) -> None:
    """List the freezes, each with where it holds and when it holds next.

    examples:
      deployctl freezes
      deployctl freezes --in-force --environment production || echo frozen
    """
    query: dict[str, Any] = {}
    if arguments.environment is not None:
        query["environment"] = arguments.environment
    if arguments.in_force:
        query["in_force"] = "true"
    rows = context.client.all("/freezes/", **query)
    context.show(rows, "\n".join(map(_line, rows)))
    if arguments.in_force and rows:
        raise Ended(f"Frozen until {max(row['until'] for row in rows)}.", Exit.FAILED)


def _line(row: dict) -> str:
    where = "everywhere" if row["everywhere"] else ", ".join(row["environments"])
    if row["until"]:
        when = f"frozen until {row['until']}"
    elif row["next"]:
        when = f"from {row['next'][0]['start']} to {row['next'][0]['end']}"
    else:
        when = "over"
    return f"{row['id']:>6}  {row['name']:24}  {where:24}  {when}"
