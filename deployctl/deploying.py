"""Commands that change what runs."""

from __future__ import annotations

import argparse
from typing import Any

from . import installing
from .cli import argument, command, whole
from .context import NOTE, SERVICE, TIMEOUT, VERSION, WAIT, WHEN, Context, is_id, quoted, said_body
from .exits import Ended, Exit
from .installing import INSTANCE, SKIP_INSTALLED
from .locks import LOCK_TIMEOUT, post_unlocked
from .strategy import FORCE, PLAN, STRATEGY, show_plans, strategy_body
from .targets import HOSTS, TARGETS, Targets

DEPLOYMENT = argument("deployment", type=whole(1), help="A deployment's number.")
MARK_BAD = argument(
    "--mark-bad", metavar="REASON", help="Also mark the version that is left as bad: it is not deployed again."
)
FROM = argument("--from", dest="from_version", metavar="VERSION", help="Only instances of this version.")


@command(
    "deploy",
    SERVICE,
    VERSION,
    *TARGETS,
    argument(
        "--install", action="store_true", help="Also install it on the chosen hosts that do not have the service."
    ),
    *INSTANCE,
    *STRATEGY,
    LOCK_TIMEOUT,
    NOTE,
    *WHEN,
    WAIT,
    TIMEOUT,
)
def deploy(context: Context, arguments: argparse.Namespace) -> None:
    """Deploy VERSION (a name or an id) of SERVICE: upgrade what runs an older one, revert what runs a newer one.

    What runs it already is a success that says so. Without --host, --label, --group and --instance: every instance.
    While a deployment of VERSION is under way there, the same request waits for that one. With --install, the first
    deployment of SERVICE needs no other command, and a host that gets the label or joins the group later gets SERVICE
    with the next one.

    examples:
      deployctl deploy shop 2.0
      deployctl deploy shop 2.0 --install --group shop-hosts
      deployctl deploy shop 2.0 --label zone=eu --canary 1 --batch-size 20% --on-failure revert_all
      deployctl deploy shop 2.0 --host web1,web2 --plan
    """
    service, targets = arguments.service, Targets.of(arguments)
    body = {"version": arguments.version, **strategy_body(arguments), **said_body(arguments)}
    path = f"/services/{quoted(service)}/deploy"
    made: list[dict] = []
    if arguments.install:
        rows = installing.installed(context, service, targets)
        made = installing.missing(context, arguments, targets)
        if not rows:
            return _end(context, arguments, made)
        targets = targets.having(rows)
    elif arguments.port or arguments.tag:
        raise Ended("--port and --tag are for --install: instances set changes what is there.", Exit.USAGE_ERROR)
    body.update(targets.body())
    if arguments.plan:
        made.append(context.client.post(path, {**body, "dry_run": True}))
    else:
        made.append(post_unlocked(context, path, body, arguments.lock_timeout))
    return _end(context, arguments, made)


def _end(context: Context, arguments: argparse.Namespace, answers: list[dict]) -> None:
    """Show plans, or follow deployments. An answer of what is there already counts only where there is no other."""
    if arguments.plan:
        return show_plans(context, answers)
    deployments = [answer for answer in answers if not answer.get("already_there")]
    if not deployments:
        return context.show(answers[-1], f"{arguments.service} {arguments.version} is there already.")
    return context.follow(deployments)


@command("install", SERVICE, VERSION, *HOSTS, *INSTANCE, SKIP_INSTALLED, PLAN, NOTE, *WHEN, WAIT, TIMEOUT)
def install(context: Context, arguments: argparse.Namespace) -> None:
    """Install VERSION of SERVICE on hosts that do not have the service yet: on --host, or where --label or --group say.

    examples:
      deployctl install shop 2.0 --host web3 --port 8080
      deployctl install shop 2.0 --group shop-hosts
    """
    answer = installing.post(context, arguments, Targets.of(arguments), {"skip_installed": arguments.skip_installed})
    if answer.get("already_there"):
        return context.show(answer, f"{arguments.service} is on these hosts already.")
    return _end(context, arguments, [answer])


@command("upgrade", SERVICE, VERSION, FROM, *TARGETS, *STRATEGY, NOTE, *WHEN, WAIT, TIMEOUT)
def upgrade(context: Context, arguments: argparse.Namespace) -> None:
    """Upgrade SERVICE to VERSION: only what runs an older version."""
    _change(context, "upgrade", arguments.service, arguments)


@command(
    "revert",
    argument("what", metavar="SERVICE|DEPLOYMENT", help="A service's name or id, or a deployment's number."),
    argument("version", nargs="?", help="Of a service: the version to go back to, by name or id."),
    FROM,
    *TARGETS,
    *STRATEGY,
    MARK_BAD,
    NOTE,
    *WHEN,
    WAIT,
    TIMEOUT,
)
def revert(context: Context, arguments: argparse.Namespace) -> None:
    """Revert SERVICE to an older VERSION, or DEPLOYMENT (its number) to the versions before it.

    Of a deployment, --host, --label and --group choose some of the hosts that it changed.

    examples:
      deployctl revert shop 1.9
      deployctl revert 4711
      deployctl revert 4711 --host web1,web2 --mark-bad "loses orders"
    """
    if arguments.version is not None:
        return _change(context, "revert", arguments.what, arguments)
    if not is_id(arguments.what):
        words = "is not a deployment number; to revert a service, add the version."
        raise Ended(f"{arguments.what!r} {words}", Exit.USAGE_ERROR)
    targets = Targets.of(arguments)
    if targets.instances or arguments.from_version or arguments.force or arguments.skip_locked:
        words = "Of a deployment, --host, --label or --group choose where; for the others, add a version."
        raise Ended(words, Exit.USAGE_ERROR)
    body = {**strategy_body(arguments), **_marked(arguments), **said_body(arguments)}
    if targets.is_named or targets.environment:
        body.update(targets.body())
    path = f"/deployments/{arguments.what}/revert"
    if arguments.plan:
        return show_plans(context, [context.client.post(path, {**body, "dry_run": True})])
    return context.follow([context.client.post(path, body or None)])


def _change(context: Context, action: str, service: str, arguments: argparse.Namespace) -> None:
    """Request one deployment for each version that runs now and that `action` replaces, or show their plans."""
    targets, strategy = Targets.of(arguments), strategy_body(arguments)
    dest = context.version(service, arguments.version)
    starts = _starts(context, action, service, dest, arguments.from_version, targets)
    body = {"dest_version": dest["id"], **strategy, **targets.body(), **_marked(arguments), **said_body(arguments)}
    paths = [f"/services/{quoted(service)}/versions/{start}/{action}" for start in starts]
    if arguments.plan:
        return show_plans(context, [context.client.post(path, {**body, "dry_run": True}) for path in paths])
    return context.follow([context.client.post(path, body) for path in paths])


def _starts(context: Context, action: str, service: str, dest: dict, old: str | None, targets: Targets) -> list[int]:
    if old:
        return [context.version(service, old)["id"]]
    listed = context.client.all(f"/services/{quoted(service)}/instances/", **targets.query())
    rows = targets.select(service, listed)
    _refuse_several(rows)
    running = {row["version_id"] for row in rows if row["version_id"]}
    starts = sorted(pk for pk in running if (pk < dest["id"] if action == "upgrade" else pk > dest["id"]))
    if not starts:
        raise Ended(
            f"Nothing to {action}: no instance of {service} runs a version "
            f"{'older' if action == 'upgrade' else 'newer'} than {dest['version']}.",
            Exit.CONFLICT,
        )
    if len(starts) > 1 and targets.is_named:
        raise Ended("The targets run several versions: use deploy, or choose one with --from.", Exit.USAGE_ERROR)
    return starts


def _refuse_several(rows: list[dict]) -> None:
    """One deployment is requested for each version: together they stay within one environment, as each of them does."""
    places = sorted({row["environment"] or "no environment" for row in rows})
    if len(places) > 1:
        raise Ended(
            f"The targets are in {', '.join(places)}: choose one with --environment or --no-environment.",
            Exit.USAGE_ERROR,
        )


def _marked(arguments: argparse.Namespace) -> dict[str, Any]:
    reason = getattr(arguments, "mark_bad", None)
    return {} if reason is None else {"mark_bad": True, "reason": reason}


@command(
    "retry",
    DEPLOYMENT,
    argument("--cause", default="", help="Only what failed for this cause, as causes names it."),
    FORCE,
    NOTE,
    *WHEN,
    WAIT,
    TIMEOUT,
)
def retry(context: Context, arguments: argparse.Namespace) -> None:
    """Retry the failed operations of DEPLOYMENT."""
    body = {**({"cause": arguments.cause} if arguments.cause else {}), **said_body(arguments)}
    if arguments.force:
        body["force"] = True
    context.follow([context.client.post(f"/deployments/{arguments.deployment}/retry", body or None)])


@command("causes", DEPLOYMENT)
def causes(context: Context, arguments: argparse.Namespace) -> None:
    """List why DEPLOYMENT failed, the most frequent cause first."""
    answer = context.client.get(f"/deployments/{arguments.deployment}/causes/")
    lines = []
    for row in answer["data"]:
        names = [host["host"] for host in row["hosts"]]
        more = f" and {row['count'] - len(names)} more" if row["count"] > len(names) else ""
        lines.append(f"{row['cause']}  hosts: {row['count']}  {row['step']}: {row['error']}")
        lines.append(f"  {', '.join(names)}{more}")
    context.show(answer, "\n".join(lines) or "Nothing failed.")


@command("cancel", DEPLOYMENT)
def cancel(context: Context, arguments: argparse.Namespace) -> None:
    """Cancel DEPLOYMENT: nothing more starts, and running operations are undone."""
    context.follow([context.client.post(f"/deployments/{arguments.deployment}/cancel")])
