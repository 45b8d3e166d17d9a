"""The command line. Each command parses its arguments, calls the API and prints the answer."""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from . import (
    __version__,
    approving,
    building,
    completion,
    deploying,
    environments,
    freezes,
    images,
    output,
    removal,
    trains,
    waiting,
)
from .cli import argument, command, existing_file, parser, say
from .context import SERVICE, TIMEOUT, Context, is_id, quoted
from .exits import Ended, Exit
from .patience import Patience

# Imported for the commands that they register.
PARTS = (approving, building, deploying, environments, freezes, output, images, removal, trains, completion)
DESCRIPTION = """\
Publish versions, deploy them to hosts, and revert.

The token is read from DEPLOYCTL_TOKEN, so that it does not appear in process lists.

examples:
  deployctl versions publish shop 2.0 shop.tar.gz
  deployctl deploy shop 2.0
  deployctl status shop

exit status:
  0 success, 1 failed or server unreachable, 2 usage error, not found or not allowed,
  3 timeout (the deployment continues), 4 conflict
"""
GLOBAL = (
    argument("--url", default=os.environ.get("DEPLOYCTL_URL"), help="The server's URL, instead of DEPLOYCTL_URL."),
    argument("--token-file", type=existing_file, metavar="FILE", help="Read the token from it."),
    argument("--json", action="store_true", help="Print the API's answer as JSON, also a refusal."),
    argument("--version", action="version", version=f"deployctl {__version__}"),
)
DEFAULT_URL = "http://127.0.0.1:8000"


def main(words: list[str] | None = None) -> int:
    """Run one command. Return the exit status."""
    words = sys.argv[1:] if words is None else words
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may not know every character
    if words[:1] == ["complete"]:  # not an ordinary command: what follows may begin with dashes
        say("\n".join(completion.candidates(words[1:])))
        return int(Exit.SUCCESS)
    as_json, words = "--json" in words, [word for word in words if word != "--json"]  # wherever it stands
    try:
        commands = parser(DESCRIPTION, *GLOBAL)
        if not words:
            commands.print_help(sys.stderr)
            return int(Exit.USAGE_ERROR)
        arguments = commands.parse_args(words)
        arguments.command.run(_context(arguments, as_json), arguments)
        return int(Exit.SUCCESS)
    except Ended as ended:
        if as_json:
            say(ended.as_json())
        else:
            say(f"Error: {ended.message}", err=True)
        return int(ended.status)
    except KeyboardInterrupt:
        say("Interrupted.", err=True)
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:  # `deployctl … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.FAILED)
    except OSError as error:  # a file that cannot be read: what the network does never gets here
        say(f"Error: {error}.", err=True)
        return int(Exit.USAGE_ERROR)


def _context(arguments: argparse.Namespace, as_json: bool) -> Context:
    file = arguments.token_file
    token = file.read_text(encoding="utf-8") if file else os.environ.get("DEPLOYCTL_TOKEN", "")
    waits = getattr(arguments, "wait", False)
    patience = Patience(waits=waits, timeout=arguments.timeout if waits else 0.0)
    return Context(arguments.url or DEFAULT_URL, token.strip(), as_json, patience)


# --- versions ---------------------------------------------------------------------------------------------------------


@command(
    "versions publish",
    SERVICE,
    argument("version", help="Its name: letters, digits and . _ + -, as versions name makes one of a branch."),
    argument("package", nargs="?", type=existing_file, help="A .tar.gz, .tar, .tar.bz2, .tar.xz or .zip."),
    argument(
        "--image", help="An image that was pushed, instead of PACKAGE: registry/name:tag or registry/name@digest."
    ),
    argument("--ref", default="master", help="The branch that it was built from (default: master)."),
    argument("--description", default="", help="What has changed."),
)
def publish(context: Context, arguments: argparse.Namespace) -> None:
    """Publish PACKAGE or an image as VERSION of SERVICE.

    Idempotent, even for an archive created again from the same files. Of an image, the version keeps the digest.

    examples:
      deployctl versions publish shop 2.0 shop.tar.gz --ref main
      deployctl versions publish shop 2.0 --image registry.example.com/shop:2.0
    """
    service, package, image = arguments.service, arguments.package, arguments.image
    if (package is None) == (image is None):
        raise Ended("Name either a package or --image.", Exit.USAGE_ERROR)
    path = f"/services/{quoted(service)}/versions/"
    fields = {"version": arguments.version, "ref": arguments.ref, "description": arguments.description}
    if package is None:
        done = context.client.post(path, {**fields, "image": image})
        context.show(done, f"{service} {done['version']} published: id {done['id']}, {done['image']}")
        return
    digest = base64.b64encode(_sha256(package)).decode()
    row = context.client.post(path, fields)
    done = context.client.put_file(f"{path}{row['id']}/package", package, digest)
    context.show(done, f"{service} {done['version']} published: id {done['id']}, {done['size']} bytes")


@command("versions list", SERVICE)
def list_versions(context: Context, arguments: argparse.Namespace) -> None:
    """List the latest versions of SERVICE."""
    rows = context.client.get(f"/services/{quoted(arguments.service)}/versions/")["data"]
    context.show(rows, "\n".join(map(_version_line, rows)))


def _version_line(row: dict[str, Any]) -> str:
    line = (
        f"{row['id']:>6}  {row['version']:48}  {'bad' if row['bad'] else row['status_str']:9}  {row['instances']} hosts"
    )
    return line + (f"  {row['image']}" if row.get("image") else "")


def _sha256(file: Path) -> bytes:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        for part in iter(lambda: content.read(1 << 20), b""):
            digest.update(part)
    return digest.digest()


# --- status ----------------------------------------------------------------------------------------------------------


@command(
    "status",
    argument("what", metavar="SERVICE|DEPLOYMENT", help="A service's name, or a deployment's number."),
    argument("--wait", action=argparse.BooleanOptionalAction, default=False, help="Wait for the result."),
    TIMEOUT,
)
def status(context: Context, arguments: argparse.Namespace) -> None:
    """Show the progress of a deployment (by number), or the instances of a service (by name)."""
    what = arguments.what
    if is_id(what):
        deployment = context.client.get(f"/deployments/{what}")
        context.patience.waits |= deployment["status"] in waiting.ENDED  # the exit status is its result
        context.follow([deployment])
        return
    rows = context.client.all(f"/services/{quoted(what)}/instances/")
    if not context.as_json:
        say(f"{'instance':>8}  {'host id':>7}  {'host':32}  {'version':48}  status", err=True)
    context.show(rows, "\n".join(map(_instance_line, rows)))


def _instance_line(row: dict[str, Any]) -> str:
    line = f"{row['id']:>8}  {row['host_id']:>7}  {row['host']:32}  {row['version'] or '-':48}  {row['status_str']}"
    return line + (f"  locked by {row['locked_by']}" if row["locked"] else "")
