"""Commands for deployments that wait: what waits, and what people say to it."""

from __future__ import annotations

import argparse
from typing import Any

from . import waiting
from .cli import argument, command, say
from .client import printable
from .context import TIMEOUT, WAIT, Context
from .deploying import DEPLOYMENT
from .strategy import plan_text

COMMENT = argument("--comment", default="", metavar="TEXT", help="Shown with the deployment, and kept in the history.")
PLAN_ONLY = argument("--plan", action="store_true", help="Print what it would do; say nothing to it.")


@command("waiting", argument("--service", metavar="SERVICE", help="Only of this service, by name or id."))
def list_waiting(context: Context, arguments: argparse.Namespace) -> None:
    """List the deployments that wait, and for what."""
    rows = context.client.all("/deployments/", status="waiting", service=arguments.service or "")
    context.show(rows, "\n".join(map(waiting.line, rows)) or "Nothing waits.")


@command("approve", DEPLOYMENT, COMMENT, PLAN_ONLY, WAIT, TIMEOUT)
def approve(context: Context, arguments: argparse.Namespace) -> None:
    """Approve DEPLOYMENT, which somebody else asked for: print what it will do, say yes to that, and follow it.

    examples:
      deployctl approve 4711 --plan
      deployctl approve 4711 --comment "release notes read" --no-wait
    """
    plan = _plan(context, arguments)
    if arguments.plan:
        return context.show(plan, plan_text(plan))
    if not context.as_json:
        say(plan_text(plan), err=True)
    body = {"plan_token": plan["plan_token"], "comment": arguments.comment}
    return _said(context, arguments, "approve", body)


@command("reject", DEPLOYMENT, argument("comment", metavar="WHY", help="Shown with the deployment."))
def reject(context: Context, arguments: argparse.Namespace) -> None:
    """Reject DEPLOYMENT, and say WHY: it ends as cancelled."""
    done = context.client.post(f"/deployments/{arguments.deployment}/reject", {"comment": arguments.comment})
    context.show(done, waiting.line(done))


@command("override", DEPLOYMENT, argument("reason", metavar="WHY", help="All who are told of deployments see it."))
def override(context: Context, arguments: argparse.Namespace) -> None:
    """Begin DEPLOYMENT whatever it waits for, and say WHY: for administrators, in an emergency."""
    plan = _plan(context, arguments)
    body = {"plan_token": plan["plan_token"], "reason": arguments.reason}
    done = context.client.post(f"/deployments/{arguments.deployment}/override", body)
    context.show(done, waiting.line(done))


@command(
    "reschedule",
    DEPLOYMENT,
    argument("time", metavar="TIME", help="Such as 2026-12-01T22:00:00+01:00, or now: as soon as nothing holds it up."),
)
def reschedule(context: Context, arguments: argparse.Namespace) -> None:
    """Let DEPLOYMENT, which waits, begin at another TIME."""
    start_at = None if arguments.time == "now" else arguments.time
    done = context.client.post(f"/deployments/{arguments.deployment}/reschedule", {"start_at": start_at})
    context.show(done, waiting.line(done))


def _plan(context: Context, arguments: argparse.Namespace) -> dict[str, Any]:
    return context.client.get(f"/deployments/{arguments.deployment}/plan")


def _said(context: Context, arguments: argparse.Namespace, what: str, body: dict[str, Any]) -> None:
    done = context.client.post(f"/deployments/{arguments.deployment}/{what}", body)
    if done["status"] == "waiting":  # it needs another yes, or its time has not come
        return context.show(done, printable(waiting.line(done)))
    return context.follow([done])
