"""The commands. Each parses its arguments, calls the API and prints the answer."""

import base64
import hashlib
import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from . import building, images, output, removal, waiting
from .context import Context, may_wait, quoted
from .exits import Ended, Exit
from .targets import Targets, with_targets


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--url",
    envvar="DEPLOYCTL_URL",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="The server's URL. [DEPLOYCTL_URL]",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the token from this file instead of DEPLOYCTL_TOKEN.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer as JSON.")
@click.pass_context
def main(ctx: click.Context, url: str, token_file: Path | None, as_json: bool) -> None:
    """Publish versions, deploy them to hosts, and revert.

    The token is read from DEPLOYCTL_TOKEN, so that it does not appear in process lists.

    Exit status: 0 success, 1 failed or server unreachable, 2 usage error, not found or not allowed, 3 timeout (the
    deployment continues), 4 conflict.
    """
    token = token_file.read_text().strip() if token_file else os.environ.get("DEPLOYCTL_TOKEN", "").strip()
    ctx.obj = Context(url, token, as_json)


# --- versions ---------------------------------------------------------------------------------------------------------


@main.group()
def versions() -> None:
    """Manage the versions of a service."""


@versions.command("publish")
@click.argument("service")
@click.argument("version")
@click.argument("package", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--image", help="An image that was pushed, instead of PACKAGE: registry/name:tag or registry/name@digest."
)
@click.option("--ref", default="master", show_default=True, help="The branch that it was built from.")
@click.option("--description", default="", help="What has changed.")
@click.pass_obj
def publish(
    context: Context, service: str, version: str, package: Path | None, image: str | None, ref: str, description: str
) -> None:
    """Publish PACKAGE (.tar.gz, .tar, .tar.bz2, .tar.xz or .zip) or an image as VERSION of SERVICE.

    Idempotent, even for an archive created again from the same files. Of an image, the version keeps the digest.
    """
    if (package is None) == (image is None):
        raise Ended("Name either a package or --image.", Exit.USAGE_ERROR)
    path = f"/services/{quoted(service)}/versions/"
    fields = {"version": version, "ref": ref, "description": description}
    if package is None:
        done = context.client.post(path, {**fields, "image": image})
        context.show(done, f"{service} {done['version']} published: id {done['id']}, {done['image']}")
        return
    with package.open("rb") as file:
        digest = base64.b64encode(hashlib.file_digest(file, "sha256").digest()).decode()
    row = context.client.post(path, fields)
    done = context.client.put_file(f"{path}{row['id']}/package", package, digest)
    context.show(done, f"{service} {done['version']} published: id {done['id']}, {done['size']} bytes")


@versions.command("list")
@click.argument("service")
@click.pass_obj
def list_versions(context: Context, service: str) -> None:
    """List the latest versions of SERVICE."""
    rows = context.client.get(f"/services/{quoted(service)}/versions/")["data"]
    context.show(
        rows,
        "\n".join(
            f"{row['id']:>6}  {row['version']:48}  {'bad' if row['bad'] else row['status_str']:9}  "
            f"{row['instances']} hosts" + (f"  {row['image']}" if row.get("image") else "")
            for row in rows
        ),
    )


versions.add_command(building.attempts)
versions.add_command(building.name)
main.add_command(building.build)
main.add_command(building.builds)


# --- deployments -----------------------------------------------------------------------------------------------------


@main.command()
@click.argument("service")
@click.argument("version")
@click.option("--host", "hosts", multiple=True, required=True, help="Hosts by name or id: web1,web2. Repeatable.")
@click.option("--port", type=click.IntRange(0, 65535), default=0)
@click.option("--tag", default="")
@may_wait()
@click.pass_obj
def deploy(context: Context, service: str, version: str, hosts: tuple[str, ...], port: int, tag: str) -> None:
    """Install VERSION of SERVICE on hosts that do not have the service yet."""
    targets = Targets(hosts, ())
    number = context.version(service, version)["id"]
    deployment = context.client.post(
        f"/services/{quoted(service)}/versions/{number}/install", {**targets.body(), "port": port, "tag": tag}
    )
    context.follow([deployment])


main.add_command(deploy, "install")


@main.command()
@click.argument("service")
@click.argument("version")
@click.option("--from", "from_version", help="Only instances of this version. Default: all older ones.")
@with_targets
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
    """Upgrade SERVICE to VERSION."""
    context.follow(_request(context, "upgrade", service, version, from_version, Targets(hosts, instances)))


@main.command()
@click.argument("what")
@click.argument("version", required=False)
@click.option("--from", "from_version", help="Only instances of this version. Default: all newer ones.")
@with_targets
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
    """Revert: `revert SERVICE VERSION` to an older version, `revert DEPLOYMENT` to the versions before it."""
    targets = Targets(hosts, instances)
    if version is not None:
        return context.follow(_request(context, "revert", what, version, from_version, targets))
    if targets.is_named or from_version:
        raise Ended(
            "A deployment is reverted as a whole: --host, --instance and --from need a service and a version.",
            Exit.USAGE_ERROR,
        )
    return context.follow([context.client.post(f"/deployments/{_number(what)}/revert")])


def _request(
    context: Context, action: str, service: str, version: str, old: str | None, targets: Targets
) -> list[dict]:
    """Request one deployment for each version that runs now and that `action` replaces."""
    dest = context.version(service, version)
    if old:
        starts = [context.version(service, old)["id"]]
    else:
        rows = targets.select(service, context.client.all(f"/services/{quoted(service)}/instances/"))
        running = {row["version_id"] for row in rows if row["version_id"]}
        starts = sorted(pk for pk in running if (pk < dest["id"] if action == "upgrade" else pk > dest["id"]))
    if not starts:
        raise Ended(
            f"Nothing to {action}: no instance of {service} runs a version "
            f"{'older' if action == 'upgrade' else 'newer'} than {version}.",
            Exit.CONFLICT,
        )
    if len(starts) > 1 and targets.is_named:
        raise Ended("The targets run several versions: choose one with --from.", Exit.USAGE_ERROR)
    body = {"dest_version": dest["id"], **targets.body()}
    return [context.client.post(f"/services/{quoted(service)}/versions/{start}/{action}", body) for start in starts]


@main.command()
@click.argument("deployment", type=click.IntRange(1))
@may_wait()
@click.pass_obj
def retry(context: Context, deployment: int) -> None:
    """Retry the failed operations of DEPLOYMENT."""
    context.follow([context.client.post(f"/deployments/{deployment}/retry")])


@main.command()
@click.argument("deployment", type=click.IntRange(1))
@click.pass_obj
def cancel(context: Context, deployment: int) -> None:
    """Cancel DEPLOYMENT: nothing more starts, and running operations are undone."""
    context.follow([context.client.post(f"/deployments/{deployment}/cancel")])


# --- status ----------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("what")
@may_wait(default=False)
@click.pass_obj
def status(context: Context, what: str) -> None:
    """Show the progress of a deployment (by number), or the instances of a service (by name)."""
    if what.isascii() and what.isdigit():
        deployment = context.client.get(f"/deployments/{what}")
        context.patience.waits |= deployment["status"] in waiting.ENDED  # the exit status is its result
        context.follow([deployment])
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


main.add_command(output.logs)


@main.group()
def hosts() -> None:
    """Manage hosts."""


@hosts.command("check")
@click.argument("host")
@click.pass_obj
def check_host(context: Context, host: str) -> None:
    """Check HOST (a name or an id): connect to it and print the result."""
    result = context.client.post(f"/hosts/{context.host(host)}/check")
    context.show(result, "\n".join(f"{name}: {value}" for name, value in result.items() if value not in (None, "", [])))
    if not result.get("reachable") or result.get("error"):
        raise SystemExit(int(Exit.FAILED))


for command in (removal.list_hosts, removal.archive, removal.unarchive, removal.import_hosts):
    hosts.add_command(command)
versions.add_command(removal.delete_version)
main.add_command(removal.forget)


@main.group()
def instances() -> None:
    """Manage instances: a service on a host."""


@main.group()
def services() -> None:
    """Manage services."""


instances.add_command(removal.set_instance)
main.add_command(images.images)
services.add_command(removal.delete_service)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL: eval "$(deployctl completion bash)"."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(main, {}, "deployctl", "_DEPLOYCTL_COMPLETE").source())


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Ended(f"{text!r} is not a deployment number; to revert a service, add the version.", Exit.USAGE_ERROR)
    return int(text)
