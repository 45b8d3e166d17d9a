"""Commands for what is gone for good, and for what is changed by hand: hosts, instances, versions, services."""

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
    """Removes the instances of SERVICE on HOSTS (names or ids) here, without asking those hosts, which are gone.

    What goes on with them ends, also a delete that is tried again. Deployments and history stay.
    """
    numbers = [_instance(context, service, host)["id"] for host in hosts]
    path = f"/services/{quoted(service)}/instances/forget"
    told = context.client.post(path, {"instances": numbers, "reason": reason})
    lines = (f"{row['host']}: {service} {row['version'] or '-'} is forgotten" for row in told["data"])
    context.show(told, "\n".join(lines))


@click.command("list")
@click.option("--archived", is_flag=True, help="Those that are archived, instead of those that are there.")
@click.pass_obj
def list_hosts(context: Context, archived: bool) -> None:
    """Hosts by name: id, name, address, what the last contact showed, labels."""
    rows = context.client.all("/hosts/", archived="true" if archived else "")
    words = {True: "reachable", False: "unreachable", None: "never asked"}
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
@click.option("--forget", is_flag=True, help="Forget first what is installed there.")
@click.pass_obj
def archive(context: Context, host: str, reason: str, forget: bool) -> None:
    """Takes HOST (a name or an id) out of every list and choice; deployments and history still name it."""
    done = context.client.post(f"/hosts/{context.host(host)}/archive", {"reason": reason, "forget": forget})
    context.show(done, f"{done['hostname']} is archived")


@click.command("unarchive")
@click.argument("host")
@click.pass_obj
def unarchive(context: Context, host: str) -> None:
    """Brings HOST (a name or an id) back."""
    if not (host.isascii() and host.isdigit()):
        rows = context.client.all("/hosts/", hostname=host, archived="true")
        found = [str(row["id"]) for row in rows if row["hostname"] == host]
        if not found:
            raise Ended(f"There is no archived host {host}.", Exit.WRONG_USE)
        if len(found) > 1:
            raise Ended(f"Several archived hosts are named {host}: give an id ({', '.join(found)}).", Exit.WRONG_USE)
        host = found[0]
    done = context.client.post(f"/hosts/{host}/unarchive")
    context.show(done, f"{done['hostname']} is back")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check only; nothing is created.")
@click.pass_obj
def import_hosts(context: Context, file: Path, dry_run: bool) -> None:
    """Adds the hosts of FILE, a .csv or .json: all, or none and every reason. The same again changes nothing."""
    kind = "application/json" if file.suffix.lower() == ".json" else "text/csv"
    query = {"dry_run": "true"} if dry_run else None
    told = context.client.ask("POST", "/hosts/import", file.read_bytes(), {"Content-Type": kind}, query=query).data
    verb = "would be added" if dry_run else "added"
    context.show(told, f"{told['count']} {verb}, {told['unchanged']} were there already")


@click.command("set")
@click.argument("service")
@click.argument("host")
@click.option("--port", type=click.IntRange(0, 65535))
@click.option("--tag")
@click.option("--weight", type=click.IntRange(0, 1_000_000))
@click.pass_obj
def set_instance(context: Context, service: str, host: str, **fields: Any) -> None:
    """Changes port, tag or weight of SERVICE on HOST. What runs there sees them with its next operation."""
    given = {name: value for name, value in fields.items() if value is not None}
    if not given:
        raise Ended("Name what is to change: --port, --tag or --weight.", Exit.WRONG_USE)
    path = f"/services/{quoted(service)}/instances/{_instance(context, service, host)['id']}"
    body = json.dumps(given).encode()
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
    """Removes VERSION of SERVICE and its package, where nothing runs it or may be reverted to it."""
    number = context.version(service, version)["id"]
    context.client.ask("DELETE", f"/services/{quoted(service)}/versions/{number}", query={"reason": reason})
    context.show({"deleted": number}, f"{service} {version} is deleted")


@click.command("delete")
@click.argument("service")
@click.option("--yes", is_flag=True, help="Do it: versions, packages and past deployments go for good.")
@click.pass_obj
def delete_service(context: Context, service: str, yes: bool) -> None:
    """Removes SERVICE, which has no instances, with all its versions."""
    if not yes:
        raise Ended("Say --yes: versions, packages and past deployments go for good.", Exit.WRONG_USE)
    context.client.ask("DELETE", f"/services/{quoted(service)}")
    context.show({"deleted": service}, f"{service} is deleted")


def _instance(context: Context, service: str, host: str) -> dict:
    """The instance of the service on a host, by the host's name or id."""
    number = context.host(host)
    found = context.client.all(f"/services/{quoted(service)}/instances/", host=str(number))
    mine = [row for row in found if row["host_id"] == number]
    if not mine:
        raise Ended(f"{service} has no instance on {host}.", Exit.WRONG_USE)
    return mine[0]
