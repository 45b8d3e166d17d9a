"""Commands for builds and for the names of versions."""

import time
from datetime import datetime
from typing import Any, TextIO
from urllib.parse import urlencode

import click

from .client import printable
from .context import Context, may_wait, quoted
from .exits import Ended, Exit, OutOfTime
from .naming import version_name

SUCCESS, OPEN = "success", ("pending", "building")
PAUSE = 2.0  # seconds between two polls
MAX_LINES = 20  # of the output of a failed build


@click.command()
@click.argument("service")
@click.argument("version")
@click.option("--ref", default="master", show_default=True, help="The branch, tag or commit of a new VERSION.")
@click.option("--again", is_flag=True, help="Build again after a failure, a timeout or a duplicate.")
@click.option("--even-built", is_flag=True, help="Build even if the commit is already built.")
@click.option("--callback-url", default="", help="Receives a message when this build ends.")
@click.option("--callback-headers", type=click.File(), help='Lines "Name: value" sent with it; - reads standard input.')
@click.option("--callback-state", help="A text that the message returns.")
@may_wait()
@click.pass_obj
def build(
    context: Context, service: str, version: str, ref: str, again: bool, even_built: bool, **callback: Any
) -> None:
    """Build VERSION of SERVICE at its build source; create the version if it does not exist."""
    options = {"again": again, "even_built": even_built, **_callback_fields(**callback)}
    wait = context.patience.waits
    path = f"/services/{quoted(service)}/versions/"
    known = [row for row in context.client.all(path) if row["version"] == version]
    row = known[0] if known else context.client.post(path, {"version": version, "ref": ref})
    path = f"{path}{row['id']}/build"
    attempt = context.client.post(path, options)
    if wait:
        attempt = _until_ended(context, path, attempt)
    context.show(attempt, _line(service, version, attempt))
    if wait and attempt["status_str"] != SUCCESS:
        if not context.as_json and attempt["log"]:
            click.echo(printable("\n".join(attempt["log"].splitlines()[-MAX_LINES:])), err=True)
        raise SystemExit(int(Exit.FAILED))


def _callback_fields(callback_url: str, callback_headers: TextIO | None, callback_state: str | None) -> dict[str, Any]:
    """Return the callback's fields of a request. Headers may be passwords, so they are in no argument list."""
    fields: dict[str, Any] = {"callback_url": callback_url} if callback_url else {}
    if callback_state is not None:
        fields["callback_state"] = callback_state
    if callback_headers is not None:
        lines = [line.partition(":") for line in callback_headers.read().splitlines() if line.strip()]
        if not all(sign for _, sign, _ in lines):
            raise Ended("--callback-headers: each line must be Name: value.", Exit.USAGE_ERROR)
        fields["callback_headers"] = {name.strip(): value.strip() for name, _, value in lines}
    return fields


@click.command("attempts")
@click.argument("service")
@click.argument("version")
@click.pass_obj
def attempts(context: Context, service: str, version: str) -> None:
    """List the attempts to build VERSION of SERVICE, newest first."""
    number = context.version(service, version)["id"]
    rows = context.client.get(f"/services/{quoted(service)}/versions/{number}/builds/")["data"]
    context.show(
        rows,
        "\n".join(
            f"{row['attempt']:>4}  {row['created']:24}  {row['status_str']:9}  {row['requested_by']:16}  "
            f"{row['detail']}"
            for row in rows
        ),
    )


@click.group()
def builds() -> None:
    """List the builds of all services, and cancel one."""


@builds.command("list")
@click.option("--service", default="", help="Only of this service.")
@click.option("--status", default="", help="open, or a status of builds.")
@click.option("--by", "requested_by", default="", help="Only those that this user requested.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.pass_obj
def list_builds(context: Context, service: str, status: str, requested_by: str, limit: int) -> None:
    """List the builds, newest first."""
    wanted = {"service": service, "status": status, "requested_by": requested_by, "limit": limit}
    rows = context.client.get(f"/builds/?{urlencode({name: value for name, value in wanted.items() if value})}")["data"]
    context.show(
        rows,
        "\n".join(
            f"{row['created']:24}  {row['status_str']:9}  {row['service']['name']:24}  {row['version']['version']:32}  "
            f"{row['requested_by']:16}  {row['detail']}"
            for row in rows
        ),
    )


@builds.command("cancel")
@click.argument("service")
@click.argument("version")
@click.option("--reason", default="", help="Kept in the history.")
@click.pass_obj
def cancel(context: Context, service: str, version: str, reason: str) -> None:
    """Cancel the build of VERSION of SERVICE, here and at its build server."""
    number = context.version(service, version)["id"]
    attempt = context.client.post(f"/services/{quoted(service)}/versions/{number}/build/cancel", {"reason": reason})
    context.show(attempt, _line(service, version, attempt))


@click.command("name")
@click.option("--ref", required=True, help="The branch or tag.")
@click.option("--commit", required=True, help="The commit's hash.")
@click.option("--time", "moment", required=True, help="The time of the commit: git show -s --format=%cI")
def name(ref: str, commit: str, moment: str) -> None:
    """Print the name of a version: TIME-BRANCH-COMMIT. No server is contacted."""
    try:
        time_of_commit = datetime.fromisoformat(moment.strip())
        if time_of_commit.tzinfo is None:
            raise ValueError("needs a time zone")
    except ValueError:
        raise Ended(f"{moment!r} is not a valid time such as 2026-01-31T12:00:00+00:00.", Exit.USAGE_ERROR) from None
    try:
        click.echo(version_name(ref, commit, time_of_commit))
    except ValueError as error:
        raise Ended(f"--commit {error}.", Exit.USAGE_ERROR) from None


def _until_ended(context: Context, path: str, attempt: dict[str, Any]) -> dict[str, Any]:
    """Return the build after its end. Raise Ended with TIMEOUT after --timeout."""
    while attempt["status_str"] in OPEN:
        left = context.client.patience.left
        late = f"Timeout: the build is {attempt['status_str']}. It continues."
        if left <= 0:
            raise Ended(late, Exit.TIMEOUT)
        time.sleep(min(PAUSE, left))
        try:
            attempt = context.client.get(path)
        except OutOfTime as error:
            raise Ended(f"{late} {error.reason}", Exit.TIMEOUT) from None
    return attempt


def _line(service: str, version: str, attempt: dict[str, Any]) -> str:
    line = f"{service} {version}: attempt {attempt['attempt']} is {attempt['status_str']}"
    return f"{line}: {attempt['detail']}" if attempt["detail"] else line
