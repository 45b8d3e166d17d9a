"""Commands that remove or edit hosts, instances, versions and services."""

from __future__ import annotations

import argparse
import json

from .cli import argument, command, existing_file, whole
from .context import SERVICE, VERSION, Context, is_id, quoted
from .exits import Ended, Exit
from .targets import ENVIRONMENT, GROUP, LABELS, NO_ENVIRONMENT, Targets

HOST = argument("host", help="A host's name or id.")
REASON = argument("--reason", required=True, help="Kept in the history.")


@command("forget", SERVICE, argument("hosts", nargs="+", metavar="HOST", help="Hosts by name or id."), REASON)
def forget(context: Context, arguments: argparse.Namespace) -> None:
    """Forget the instances of SERVICE on HOSTS (names or ids), without contacting the hosts, which are gone.

    Running operations on them end, and so do retried deletes. Deployments and history are kept.
    """
    service = arguments.service
    ids = [_instance(context, service, host)["id"] for host in arguments.hosts]
    path = f"/services/{quoted(service)}/instances/forget"
    answer = context.client.post(path, {"instances": ids, "reason": arguments.reason})
    lines = (f"{row['host']}: {service} {row['version'] or '-'} forgotten" for row in answer["data"])
    context.show(answer, "\n".join(lines))


@command(
    "hosts list",
    LABELS,
    GROUP,
    ENVIRONMENT,
    NO_ENVIRONMENT,
    argument("--archived", action="store_true", help="List archived hosts instead."),
)
def list_hosts(context: Context, arguments: argparse.Namespace) -> None:
    """List hosts by name: id, name, address, result of the last check, environment, labels."""
    chosen = Targets(labels=arguments.labels, group=arguments.group, environment=arguments.environment).query()
    rows = context.client.all("/hosts/", archived="true" if arguments.archived else "", **chosen)
    words = {True: "reachable", False: "unreachable", None: "never checked"}
    context.show(
        rows,
        "\n".join(
            f"{row['id']:>6}  {row['hostname']:32}  {row['ip']}:{row['port']}  "
            + (f"archived: {row['archive_reason']}" if row["archived"] else words[row["reachable"]])
            + (f"  {row['environment']}" if row["environment"] else "")
            + "".join(f"  {name}={text}" for name, text in row["labels"].items())
            for row in rows
        ),
    )


@command("hosts check", HOST)
def check_host(context: Context, arguments: argparse.Namespace) -> None:
    """Check HOST (a name or an id): connect to it and print the result."""
    result = context.client.post(f"/hosts/{context.host(arguments.host)}/check")
    context.show(result, "\n".join(f"{name}: {value}" for name, value in result.items() if value not in (None, "", [])))
    if not result.get("reachable") or result.get("error"):
        raise SystemExit(int(Exit.FAILED))


@command(
    "hosts archive",
    HOST,
    REASON,
    argument("--forget", action="store_true", help="First forget the instances on it."),
)
def archive(context: Context, arguments: argparse.Namespace) -> None:
    """Archive HOST (a name or an id): remove it from all lists. Deployments and history still name it."""
    body = {"reason": arguments.reason, "forget": arguments.forget}
    done = context.client.post(f"/hosts/{context.host(arguments.host)}/archive", body)
    context.show(done, f"{done['hostname']} archived")


@command("hosts unarchive", HOST)
def unarchive(context: Context, arguments: argparse.Namespace) -> None:
    """Unarchive HOST (a name or an id)."""
    host = arguments.host
    if not is_id(host):
        rows = context.client.all("/hosts/", hostname=host, archived="true")
        ids = [str(row["id"]) for row in rows if row["hostname"] == host]
        if not ids:
            raise Ended(f"Archived host {host} not found.", Exit.USAGE_ERROR)
        if len(ids) > 1:
            raise Ended(f"Several archived hosts are named {host}: use an id ({', '.join(ids)}).", Exit.USAGE_ERROR)
        host = ids[0]
    done = context.client.post(f"/hosts/{host}/unarchive")
    context.show(done, f"{done['hostname']} unarchived")


@command(
    "hosts import",
    argument("file", type=existing_file, help="CSV or JSON."),
    argument("--dry-run", action="store_true", help="Validate only; create nothing."),
)
def import_hosts(context: Context, arguments: argparse.Namespace) -> None:
    """Import the hosts of FILE (.csv or .json): all of them, or none, with every error. Idempotent."""
    file = arguments.file
    kind = "application/json" if file.suffix.lower() == ".json" else "text/csv"
    query = {"dry_run": "true"} if arguments.dry_run else None
    answer = context.client.ask("POST", "/hosts/import", file.read_bytes(), {"Content-Type": kind}, query=query).data
    verb = "would be added" if arguments.dry_run else "added"
    context.show(answer, f"{answer['count']} {verb}, {answer['unchanged']} unchanged")


@command(
    "instances set",
    SERVICE,
    HOST,
    argument("--port", type=whole(0, 65535), help="0 to 65535."),
    argument("--tag", help="Such as canary."),
    argument("--weight", type=whole(0, 1_000_000), help="0 to 1000000."),
)
def set_instance(context: Context, arguments: argparse.Namespace) -> None:
    """Set the port, tag or weight of SERVICE on HOST, from its next operation on."""
    fields = {name: getattr(arguments, name) for name in ("port", "tag", "weight")}
    changes = {name: value for name, value in fields.items() if value is not None}
    if not changes:
        raise Ended("Nothing to change: use --port, --tag or --weight.", Exit.USAGE_ERROR)
    instance = _instance(context, arguments.service, arguments.host)
    path = f"/services/{quoted(arguments.service)}/instances/{instance['id']}"
    body = json.dumps(changes).encode()
    done = context.client.ask("PATCH", path, body, {"Content-Type": "application/json"}).data
    context.show(
        done,
        f"{done['host']}: port {done['port']}, tag {done['tag'] or '-'}, weight {done['weight']}; "
        "used from the next operation on",
    )


@command("versions delete", SERVICE, VERSION, argument("--reason", default="", help="Kept in the history."))
def delete_version(context: Context, arguments: argparse.Namespace) -> None:
    """Delete VERSION of SERVICE and its package, if no instance runs it or may be reverted to it."""
    service, version = arguments.service, arguments.version
    number = context.version(service, version)["id"]
    query = {"reason": arguments.reason}
    context.client.ask("DELETE", f"/services/{quoted(service)}/versions/{number}", query=query)
    context.show({"deleted": number}, f"{service} {version} deleted")


@command(
    "services delete",
    SERVICE,
    argument(
        "--yes",
        action="store_true",
        help="Confirm: versions, packages and past deployments are deleted permanently.",
    ),
)
def delete_service(context: Context, arguments: argparse.Namespace) -> None:
    """Delete SERVICE, which must not have instances, with all its versions."""
    service = arguments.service
    if not arguments.yes:
        raise Ended(
            "Confirm with --yes: versions, packages and past deployments are deleted permanently.", Exit.USAGE_ERROR
        )
    context.client.ask("DELETE", f"/services/{quoted(service)}")
    context.show({"deleted": service}, f"{service} deleted")


def _instance(context: Context, service: str, host: str) -> dict:
    """Return the instance of the service on a host, given by name or id."""
    host_id = context.host(host)
    rows = context.client.all(f"/services/{quoted(service)}/instances/", host=str(host_id))
    rows = [row for row in rows if row["host_id"] == host_id]
    if not rows:
        raise Ended(f"{service} has no instance on {host}.", Exit.USAGE_ERROR)
    return rows[0]
