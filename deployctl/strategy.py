"""The options of a strategy, and the plan as text."""

from __future__ import annotations

import argparse
from typing import Any

from .cli import argument, whole
from .client import printable
from .context import Context, is_id
from .exits import Ended, Exit

NAMES = ("canary", "batch_size", "max_failures", "on_failure", "pause_between")
PLAN = argument("--plan", action="store_true", help="Print what would happen; change nothing.")
FORCE = argument("--force", action="store_true", help="Include instances in maintenance.")
STRATEGY = (
    argument("--canary", type=whole(0), metavar="N", help="Hosts that are deployed to first, before all others."),
    argument("--batch-size", metavar="SIZE", help="Hosts at one time: a number, or a percentage such as 20%%."),
    argument("--max-failures", type=whole(0), metavar="N", help="Failures that are allowed."),
    argument("--on-failure", choices=("hold", "revert_batch", "revert_all"), help="What happens with more than these."),
    argument("--pause-between", action="store_true", default=None, help="Pause after each batch until it is resumed."),
    FORCE,
    argument("--skip-locked", action="store_true", help="Skip named targets that another deployment has locked."),
    PLAN,
)


def strategy_body(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the request's fields; none for what was not given, so that the service's own strategy holds."""
    given = {name: value for name in NAMES if (value := getattr(arguments, name)) is not None}
    if "batch_size" in given:
        given["batch_size"] = _size(given["batch_size"])
    body: dict[str, Any] = {"strategy": given} if given else {}
    if arguments.force:
        body["force"] = True
    if arguments.skip_locked:
        body["on_locked"] = "skip"
    return body


def _size(text: str) -> int | str:
    if is_id(text):
        return int(text)
    if not (text.endswith("%") and is_id(text[:-1])):
        raise Ended(f"--batch-size takes a number or a percentage such as 20%, not {text!r}.", Exit.USAGE_ERROR)
    return text


def show_plans(context: Context, plans: list[dict[str, Any]]) -> None:
    context.show(plans[0] if len(plans) == 1 else plans, "\n".join(map(plan_text, plans)))


def plan_text(plan: dict[str, Any]) -> str:
    """Return a plan as lines: each target with its versions and steps, the batches, and what is skipped."""
    lines = [_target(target) for target in plan["targets"]] or ["Nothing to do."]
    if len(plan["batches"]) > 1:
        lines.append(f"batches: {', '.join(map(str, plan['batches']))}")
    lines += [f"skipped: {row['reason']}" for row in plan["skipped"]]
    lines += [one["text"] for one in plan["waits"]]
    return printable("\n".join(lines))


def _target(target: dict[str, Any]) -> str:
    went = " → ".join(filter(None, (target["from_version"], target["dest_version"])))
    steps = ", ".join(step["name"] for step in target["steps"])
    lost = f"; cannot be undone: {', '.join(target['cannot_be_undone'])}" if target["cannot_be_undone"] else ""
    return f"{target['host']}: {target['action']} {went}: {steps}{lost}"
