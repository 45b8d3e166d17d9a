"""Commands that remove or edit hosts, instances, versions and services."""

import json
from pathlib import Path
from typing import Any

import click

from .context import Context, quoted
from .exits import Ended, Exit

reason = click.option("--reason", required=True, help="Kept in the history.")


@click.command("forget")
@click.argument("service")
@click.argument("hosts", nargs=-1, required=True)
@reason
@click.pass_obj
def forget(context: Context, service: str, hosts: tuple[str, ...], reason: str) -> None:
    """Forget the instances of SERVICE on HOSTS (names or ids), without contacting the hosts, which are gone.

    Running operations on them end, and so do retried deletes. Deployments and history are kept.
    """
    ids = [_instance(context, service, host)["id"] for host in hosts]
    path = f"/services/{quoted(service)}/instances/forget"
    answer = context.client.post(path, {"instances": ids, "reason": reason})
    lines = (f"{row['host']}: {service} {row['version'] or '-'} forgotten" for row in answer["data"])
    context.show(answer, "\n".join(lines))


@click.command("list")
@click.option("--archived", is_flag=True, help="List archived hosts instead.")
@click.pass_obj
def list_hosts(context: Context, archived: bool) -> None:
    """List hosts by name: id, name, address, result of the last check, labels."""
    rows = context.client.all("/hosts/", archived="true" if archived else "")
    words = {True: "reachable", False: "unreachable", None: "never checked"}
    context.show(
        rows,
        "\n".join(
            f"{row['id']:>6}  {row['hostname']:32}  {row['ip']}:{row['port']}  "
            + (f"archived: {row['archive_reason']}" if row["archived"] else words[row["reachable"]])
            + "".join(f"  {name}={text}" for name, text in row["labels"].items())
            for row in rows
        ),
    )


@click.command("archive")
@click.argument("host")
@reason
@click.option("--forget", is_flag=True, help="First forget the instances on it.")
@click.pass_obj
def archive(context: Context, host: str, reason: str, forget: bool) -> None:
    """Archive HOST (a name or an id): remove it from all lists. Deployments and history still name it."""
    done = context.client.post(f"/hosts/{context.host(host)}/archive", {"reason": reason, "forget": forget})
    context.show(done, f"{done['hostname']} archived")


@click.command("unarchive")
@click.argument("host")
@click.pass_obj
def unarchive(context: Context, host: str) -> None:
    """Unarchive HOST (a name or an id)."""
    if not (host.isascii() and host.isdigit()):
        rows = context.client.all("/hosts/", hostname=host, archived="true")
        ids = [str(row["id"]) for row in rows if row["hostname"] == host]
        if not ids:
            raise Ended(f"Archived host {host} not found.", Exit.USAGE_ERROR)
        if len(ids) > 1:
            raise Ended(f"Several archived hosts are named {host}: use an id ({', '.join(ids)}).", Exit.USAGE_ERROR)
        host = ids[0]
    done = context.client.post(f"/hosts/{host}/unarchive")
    context.show(done, f"{done['hostname']} unarchived")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Validate only; create nothing.")
@click.pass_obj
def import_hosts(context: Context, file: Path, dry_run: bool) -> None:
    """Import the hosts of FILE (.csv or .json): all of them, or none, with every error. Idempotent."""
    kind = "application/json" if file.suffix.lower() == ".json" else "text/csv"
    query = {"dry_run": "true"} if dry_run else None
    answer = context.client.ask("POST", "/hosts/import", file.read_bytes(), {"Content-Type": kind}, query=query).data
    verb = "would be added" if dry_run else "added"
    context.show(answer, f"{answer['count']} {verb}, {answer['unchanged']} unchanged")


@click.command("set")
@click.argument("service")
@click.argument("host")
@click.option("--port", type=click.IntRange(0, 65535))
@click.option("--tag")
@click.option("--weight", type=click.IntRange(0, 1_000_000))
@click.pass_obj
def set_instance(context: Context, service: str, host: str, **fields: Any) -> None:
    """Set the port, tag or weight of SERVICE on HOST, from its next operation on."""
    changes = {name: value for name, value in fields.items() if value is not None}
    if not changes:
        raise Ended("Nothing to change: use --port, --tag or --weight.", Exit.USAGE_ERROR)
    path = f"/services/{quoted(service)}/instances/{_instance(context, service, host)['id']}"
    body = json.dumps(changes).encode()
    done = context.client.ask("PATCH", path, body, {"Content-Type": "application/json"}).data
    context.show(
        done,
        f"{done['host']}: port {done['port']}, tag {done['tag'] or '-'}, weight {done['weight']}; "
        "used from the next operation on",
    )


@click.command("delete")
@click.argument("service")
@click.argument("version")
@click.option("--reason", default="", help="Kept in the history.")
@click.pass_obj
def delete_version(context: Context, service: str, version: str, reason: str) -> None:
    """Delete VERSION of SERVICE and its package, if no instance runs it or may be reverted to it."""
    number = context.version(service, version)["id"]
    context.client.ask("DELETE", f"/services/{quoted(service)}/versions/{number}", query={"reason": reason})
    context.show({"deleted": number}, f"{service} {version} deleted")


@click.command("delete")
@click.argument("service")
@click.option("--yes", is_flag=True, help="Confirm: versions, packages and past deployments are deleted permanently.")
@click.pass_obj
def delete_service(context: Context, service: str, yes: bool) -> None:
    """Delete SERVICE, which must not have instances, with all its versions."""
    if not yes:
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
