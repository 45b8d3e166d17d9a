"""Putting a service on hosts that do not have it: what `install` and `deploy --install` share."""

from __future__ import annotations

import argparse
from typing import Any

from . import waiting
from .cli import argument, whole
from .context import Context, quoted, said_body
from .exits import Ended, Exit
from .strategy import strategy_body
from .targets import Targets

INSTANCE = (
    argument("--port", type=whole(0, 65535), default=0, help="Of the new instances; their commands see it."),
    argument("--tag", default="", help="Of the new instances, such as canary."),
)
SKIP_INSTALLED = argument("--skip-installed", action="store_true", help="Leave out hosts that have the service.")


def post(context: Context, arguments: argparse.Namespace, targets: Targets, more: dict[str, Any]) -> dict:
    """Request an install on these hosts, or its plan; return the answer."""
    if not targets.is_named:
        raise Ended("Where? Choose hosts with --host, --label or --group.", Exit.USAGE_ERROR)
    service = arguments.service
    body = {
        **targets.body(),
        **more,
        "port": arguments.port,
        "tag": arguments.tag,
        **said_body(arguments),
        **({"dry_run": True} if arguments.plan else {}),
    }
    number = context.version(service, arguments.version)["id"]
    return context.client.post(f"/services/{quoted(service)}/versions/{number}/install", body)


def installed(context: Context, service: str, targets: Targets) -> list[dict]:
    """Return the instances on these hosts, but for those that are to be installed again: their first install failed."""
    if not targets.is_named or targets.instances:
        raise Ended("--install needs --host, --label or --group: where the service belongs.", Exit.USAGE_ERROR)
    rows = targets.having_only(context.client.all(f"/services/{quoted(service)}/instances/", **targets.query()))
    return [row for row in rows if row["version_id"] or row["locked"] or row["status_str"] != "install_failed"]


def missing(context: Context, arguments: argparse.Namespace, targets: Targets) -> list[dict]:
    """Install on those of these hosts that do not have the service, wait with --wait, and return the answer.

    Where it fails, end with that: what the new hosts refuse is not brought to the others.
    """
    given = strategy_body(arguments).get("strategy", {})
    strategy = {name: value for name, value in given.items() if name != "on_failure"}  # of an install always hold
    answer = post(context, arguments, targets, {"skip_installed": True, **({"strategy": strategy} if strategy else {})})
    if arguments.plan or answer.get("already_there") or not context.patience.waits:
        return [answer]
    ended = waiting.until_ended(context.client, [answer], quiet=context.as_json)
    if ended[0]["status"] != "succeeded":
        context.follow(ended)
    return ended
