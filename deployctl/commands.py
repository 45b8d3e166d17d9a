"""The commands. Each reads its arguments, asks the API and prints what it answered."""

import base64
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from . import building, removal, waiting
from .client import printable
from .context import Context, may_wait, quoted
from .exits import Ended, Exit
from .where import Where


def goes_somewhere(command: Callable) -> Callable:
    """Gives a command --host and --instance."""
    for option in (
        click.option(
            "--instance",
            "instances",
            multiple=True,
            help=("Instances by id, instead of --host: 1,2,3; may be given often."),
        ),
        click.option(
            "--host",
            "hosts",
            multiple=True,
            help=("Hosts by name or id: web1,web2; may be given often. Otherwise, and for “all”, every host."),
        ),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--url",
    envvar="DEPLOYCTL_URL",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="Where the server is. [DEPLOYCTL_URL]",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the token, instead of DEPLOYCTL_TOKEN.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what the API answered as JSON.")
@click.pass_context
def main(ctx: click.Context, url: str, token_file: Path | None, as_json: bool) -> None:
    """Publish versions, and carry hosts from one to another and back.

    The token is read from DEPLOYCTL_TOKEN, so that it stands in no list of processes.

    Exit status: 0 it ended well, 1 badly or the server was never there, 2 wrong use, or what was named is not there
    or not allowed, 3 time is up (it goes on), 4 something is in the way.
    """
    token = token_file.read_text().strip() if token_file else os.environ.get("DEPLOYCTL_TOKEN", "").strip()
    ctx.obj = Context(url, token, as_json)


# --- versions ---------------------------------------------------------------------------------------------------------


@main.group()
def versions() -> None:
    """Versions of a service."""


@versions.command("publish")
@click.argument("service")
@click.argument("version")
@click.argument("package", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--ref", default="master", show_default=True, help="The branch it was built from.")
@click.option("--description", default="", help="What is new.")
@click.pass_obj
def publish(context: Context, service: str, version: str, package: Path, ref: str, description: str) -> None:
    """Makes VERSION of SERVICE from PACKAGE: a .tar.gz, .tar, .tar.bz2, .tar.xz or .zip.

    The same again changes nothing, also made again of the same files."""
    path = f"/services/{quoted(service)}/versions/"
    with package.open("rb") as file:
        digest = base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()
    made = context.client.post(path, {"version": version, "ref": ref, "description": description})
    done = context.client.put_file(f"{path}{made['id']}/package", package, digest)
    context.show(done, f"{service} {done['version']} is published: id {done['id']}, {done['size']} bytes")


@versions.command("list")
@click.argument("service")
@click.pass_obj
def list_versions(context: Context, service: str) -> None:
    """The newest versions of SERVICE."""
    rows = context.client.get(f"/services/{quoted(service)}/versions/")["data"]
    context.show(
        rows,
        "\n".join(
            f"{row['id']:>6}  {row['version']:48}  {'bad' if row['bad'] else row['status_str']:9}  "
            f"{row['instances']} hosts"
            for row in rows
        ),
    )


versions.add_command(building.attempts)
versions.add_command(building.name)
main.add_command(building.build)


# --- what changes hosts -----------------------------------------------------------------------------------------------


@main.command()
@click.argument("service")
@click.argument("version")
@click.option(
    "--host", "hosts", multiple=True, required=True, help="Hosts by name or id: web1,web2; may be given often."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0)
@click.option("--tag", default="")
@may_wait()
@click.pass_obj
def deploy(context: Context, service: str, version: str, hosts: tuple[str, ...], port: int, tag: str) -> None:
    """Installs VERSION of SERVICE on hosts that do not have it yet."""
    where = Where(hosts, ())
    number = context.version(service, version)["id"]
    made = context.client.post(
        f"/services/{quoted(service)}/versions/{number}/install", {**where.body(), "port": port, "tag": tag}
    )
    context.follow([made])


main.add_command(deploy, "install")


@main.command()
@click.argument("service")
@click.argument("version")
@click.option("--from", "from_version", help="Only instances of this version. Otherwise every older one.")
@goes_somewhere
@may_wait()
@click.pass_obj
def upgrade(
    context: Context,
    service: str,
    version: str,
    from_version: str | None,
    hosts: tuple[str, ...],
    instances: tuple[str, ...],
) -> None:
    """Carries the instances of SERVICE to VERSION, a newer one."""
    context.follow(_between(context, "upgrade", service, version, from_version, Where(hosts, instances)))


@main.command()
@click.argument("what")
@click.argument("version", required=False)
@click.option("--from", "from_version", help="Only instances of this version. Otherwise every newer one.")
@goes_somewhere
@may_wait()
@click.pass_obj
def revert(
    context: Context,
    what: str,
    version: str | None,
    from_version: str | None,
    hosts: tuple[str, ...],
    instances: tuple[str, ...],
) -> None:
    """Goes back: `revert SERVICE VERSION` to an older one, `revert DEPLOYMENT` to where a deployment came from."""
    where = Where(hosts, instances)
    if version is not None:
        return context.follow(_between(context, "revert", what, version, from_version, where))
    if where.is_named or from_version:
        raise Ended(
            "A deployment goes back as a whole: --host, --instance and --from go with a service and a version.",
            Exit.WRONG_USE,
        )
    return context.follow([context.client.post(f"/deployments/{_number(what)}/revert")])


def _between(context: Context, action: str, service: str, version: str, old: str | None, where: Where) -> list[dict]:
    """One deployment for each version that runs now and that `action` leads away from."""
    dest = context.version(service, version)
    if old:
        starts = [context.version(service, old)["id"]]
    else:
        rows = where.among(service, context.client.all(f"/services/{quoted(service)}/instances/"))
        running = {row["version_id"] for row in rows if row["version_id"]}
        starts = sorted(one for one in running if (one < dest["id"] if action == "upgrade" else one > dest["id"]))
    if not starts:
        raise Ended(
            f"Nothing to {action}: no instance of {service} runs another version that {version} is "
            f"{'newer' if action == 'upgrade' else 'older'} than.",
            Exit.CONFLICT,
        )
    if len(starts) > 1 and where.is_named:
        raise Ended("These run several versions: name one with --from.", Exit.WRONG_USE)
    body = {"dest_version": dest["id"], **where.body()}
    return [context.client.post(f"/services/{quoted(service)}/versions/{one}/{action}", body) for one in starts]


@main.command()
@click.argument("deployment", type=click.IntRange(1))
@may_wait()
@click.pass_obj
def retry(context: Context, deployment: int) -> None:
    """Repeats exactly what went wrong in DEPLOYMENT."""
    context.follow([context.client.post(f"/deployments/{deployment}/retry")])


@main.command()
@click.argument("deployment", type=click.IntRange(1))
@click.pass_obj
def cancel(context: Context, deployment: int) -> None:
    """Stops DEPLOYMENT: nothing more starts, and what runs is undone."""
    context.follow([context.client.post(f"/deployments/{deployment}/cancel")])


# --- looking ----------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("what")
@may_wait(default=False)
@click.pass_obj
def status(context: Context, what: str) -> None:
    """How far a deployment is (its number), or what runs where (a service's name)."""
    if what.isascii() and what.isdigit():
        one = context.client.get(f"/deployments/{what}")
        context.patience.waits |= one["status"] in waiting.ENDED  # it says how that ended
        context.follow([one])
        return
    rows = context.client.all(f"/services/{quoted(what)}/instances/")
    if not context.as_json:
        click.echo(f"{'instance':>8}  {'host id':>7}  {'host':32}  {'version':48}  status", err=True)
    context.show(
        rows,
        "\n".join(
            f"{row['id']:>8}  {row['host_id']:>7}  {row['host']:32}  {row['version'] or '-':48}  {row['status_str']}"
            + (f"  locked by {row['locked_by']}" if row["locked"] else "")
            for row in rows
        ),
    )


@main.command()
@click.argument("deployment", type=click.IntRange(1))
@click.option("-f", "--follow", is_flag=True, help="Go on until the deployment has ended.")
@click.pass_obj
def logs(context: Context, deployment: int, follow: bool) -> None:
    """What the commands of DEPLOYMENT print on its hosts."""
    read: dict[int, int] = {}
    context.patience.waits = follow
    begun: dict[int, bytes] = {}  # lines that have no end yet
    while True:
        ended = context.client.get(f"/deployments/{deployment}")["status"] in waiting.ENDED
        for row in context.client.all(f"/deployments/{deployment}/operations/"):
            _print_new(context, row, read, begun, last=ended or not follow)
        if ended or not follow:
            return
        time.sleep(0.5)


def _print_new(context: Context, row: dict, read: dict[int, int], begun: dict[int, bytes], last: bool) -> None:
    """Whole lines, and with `last` the rest; of a line that was rewritten, what stands there in the end."""
    while True:
        start = read.get(row["id"], 0)
        answer = context.client.ask("GET", f"/operations/{row['id']}/log", query={"offset": str(start)}, text=True)
        read[row["id"]] = int(answer.headers.get("X-Next-Offset", start + len(answer.raw)))
        *lines, rest = (begun.pop(row["id"], b"") + answer.raw).split(b"\n")
        if answer.raw or not last:
            begun[row["id"]] = rest
        elif rest:
            lines.append(rest)
        charset = answer.headers.get("Content-Type", "").partition("charset=")[2] or "utf-8"
        for line in lines:
            frames = [frame for frame in _text(line, charset).split("\r") if frame.strip()]
            click.echo(f"{printable(row['host'])} | {printable(frames[-1] if frames else '')}")
        if not answer.raw:
            return


def _text(line: bytes, charset: str) -> str:
    for name in ("utf-8", charset) if charset == "utf-8" else (charset, "utf-8"):
        try:
            return line.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return line.decode("utf-8", "replace")


@main.group()
def hosts() -> None:
    """Hosts."""


@hosts.command("check")
@click.argument("host")
@click.pass_obj
def check_host(context: Context, host: str) -> None:
    """Connects to HOST (a name or an id), and tells what was found."""
    found = context.client.post(f"/hosts/{context.host(host)}/check")
    context.show(found, "\n".join(f"{name}: {value}" for name, value in found.items() if value not in (None, "", [])))
    if not found.get("reachable") or found.get("error"):
        raise SystemExit(int(Exit.BADLY))


for command in (removal.list_hosts, removal.archive, removal.unarchive, removal.import_hosts):
    hosts.add_command(command)
versions.add_command(removal.delete_version)
main.add_command(removal.forget)


@main.group()
def instances() -> None:
    """Instances: a service on a host."""


@main.group()
def services() -> None:
    """Services."""


instances.add_command(removal.set_instance)
services.add_command(removal.delete_service)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Prints what makes SHELL complete this command: eval "$(deployctl completion bash)"."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(main, {}, "deployctl", "_DEPLOYCTL_COMPLETE").source())


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Ended(f"{text!r} is no deployment's number; to revert a service, name the version too.", Exit.WRONG_USE)
    return int(text)
