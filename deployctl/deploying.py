"""Commands that change what runs."""

from __future__ import annotations

import argparse
from typing import Any

from .cli import argument, command, whole
from .context import SERVICE, TIMEOUT, VERSION, WAIT, Context, is_id, quoted
from .exits import Ended, Exit
from .strategy import PLAN, STRATEGY, plan_text, strategy_body
from .targets import TARGETS, Targets

DEPLOYMENT = argument("deployment", type=whole(1), help="A deployment's number.")
NOTE = argument("--note", default="", metavar="TEXT", help="Why, for the people who look at it later.")
MARK_BAD = argument(
    "--mark-bad", metavar="REASON", help="Also mark the version that is left as bad: it is not deployed again."
)
FROM = argument("--from", dest="from_version", metavar="VERSION", help="Only instances of this version.")


@command("deploy", SERVICE, VERSION, *TARGETS, *STRATEGY, NOTE, WAIT, TIMEOUT)
def deploy(context: Context, arguments: argparse.Namespace) -> None:
    """Deploy VERSION (a name or an id) of SERVICE: upgrade what runs an older one, revert what runs a newer one.

    What runs it already is a success that says so. Without --host, --label, --group and --instance: every instance.
    While a deployment of VERSION is under way there, the same request waits for that one. To put SERVICE on a host that
    does not have it yet, use install.

    examples:
      deployctl deploy shop 2.0
      deployctl deploy shop 2.0 --label zone=eu --canary 1 --batch-size 20% --on-failure revert_all
      deployctl deploy shop 2.0 --host web1,web2 --plan
    """
    service, version = arguments.service, arguments.version
    body = {
        "version": version,
        **strategy_body(arguments),
        **Targets.of(arguments).body(),
        **_note(arguments),
    }
    path = f"/services/{quoted(service)}/deploy"
    if arguments.plan:
        return _show_plan(context, path, body)
    answer = context.client.post(path, body)
    if answer.get("already_there"):
        return context.show(answer, f"{service} {version} is there already.")
    return context.follow([answer])


@command(
    "install",
    SERVICE,
    VERSION,
    argument(
        "--host",
        dest="hosts",
        action="append",
        required=True,
        metavar="HOSTS",
        help="Hosts by name or id: web1,web2. Repeatable.",
    ),
    argument("--port", type=whole(0, 65535), default=0, help="Of the new instances; their commands see it."),
    argument("--tag", default="", help="Of the new instances, such as canary."),
    PLAN,
    NOTE,
    WAIT,
    TIMEOUT,
)
def install(context: Context, arguments: argparse.Namespace) -> None:
    """Install VERSION of SERVICE on hosts that do not have the service yet.

    example:
      deployctl install shop 2.0 --host web3 --port 8080
    """
    service = arguments.service
    body = {**Targets(hosts=arguments.hosts).body(), "port": arguments.port, "tag": arguments.tag, **_note(arguments)}
    path = f"/services/{quoted(service)}/versions/{context.version(service, arguments.version)['id']}/install"
    if arguments.plan:
        return _show_plan(context, path, body)
    return context.follow([context.client.post(path, body)])


@command("upgrade", SERVICE, VERSION, FROM, *TARGETS, *STRATEGY, NOTE, WAIT, TIMEOUT)
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
    WAIT,
    TIMEOUT,
)
def revert(context: Context, arguments: argparse.Namespace) -> None:
    """Revert SERVICE to an older VERSION, or DEPLOYMENT (its number) to the versions before it.

    Of a deployment, --host chooses some of the hosts that it changed.

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
    if (targets.is_named and not targets.hosts) or arguments.from_version or arguments.force or arguments.skip_locked:
        raise Ended("Of a deployment, --host alone chooses where; for the others, add a version.", Exit.USAGE_ERROR)
    body = {**strategy_body(arguments), **_marked(arguments), **_note(arguments)}
    if targets.hosts:
        body["host"] = targets.hosts
    path = f"/deployments/{arguments.what}/revert"
    if arguments.plan:
        return _show_plan(context, path, body)
    return context.follow([context.client.post(path, body or None)])


def _change(context: Context, action: str, service: str, arguments: argparse.Namespace) -> None:
    """Request one deployment for each version that runs now and that `action` replaces, or show their plans."""
    targets, strategy = Targets.of(arguments), strategy_body(arguments)
    dest = context.version(service, arguments.version)
    starts = _starts(context, action, service, dest, arguments.from_version, targets)
    body = {"dest_version": dest["id"], **strategy, **targets.body(), **_marked(arguments), **_note(arguments)}
    paths = [f"/services/{quoted(service)}/versions/{start}/{action}" for start in starts]
    if arguments.plan:
        plans = [context.client.post(path, {**body, "dry_run": True}) for path in paths]
        return context.show(plans[0] if len(plans) == 1 else plans, "\n".join(map(plan_text, plans)))
    return context.follow([context.client.post(path, body) for path in paths])


def _starts(context: Context, action: str, service: str, dest: dict, old: str | None, targets: Targets) -> list[int]:
    if old:
        return [context.version(service, old)["id"]]
    listed = context.client.all(f"/services/{quoted(service)}/instances/", **targets.query())
    rows = targets.select(service, listed)
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


def _marked(arguments: argparse.Namespace) -> dict[str, Any]:
    reason = getattr(arguments, "mark_bad", None)
    return {} if reason is None else {"mark_bad": True, "reason": reason}


def _note(arguments: argparse.Namespace) -> dict[str, str]:
    return {"note": arguments.note} if arguments.note else {}


def _show_plan(context: Context, path: str, body: dict[str, Any]) -> None:
    plan = context.client.post(path, {**body, "dry_run": True})
    context.show(plan, plan_text(plan))


@command(
    "retry",
    DEPLOYMENT,
    argument("--cause", default="", help="Only what failed for this cause, as causes names it."),
    NOTE,
    WAIT,
    TIMEOUT,
)
def retry(context: Context, arguments: argparse.Namespace) -> None:
    """Retry the failed operations of DEPLOYMENT."""
    body = {**({"cause": arguments.cause} if arguments.cause else {}), **_note(arguments)}
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
