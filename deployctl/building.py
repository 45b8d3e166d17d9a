"""Builds: started at their origin, waited for, tried again; and what versions are called."""

import time
from datetime import datetime
from typing import Any

import click

from .client import printable
from .context import Context, may_wait, quoted
from .exits import Ended, Exit, OutOfTime
from .naming import version_name

WELL, OPEN = "success", ("pending", "building")
PAUSE = 2.0  # seconds between two looks
LINES = 20  # of what it printed, where it ended badly


@click.command()
@click.argument("service")
@click.argument("version")
@click.option("--ref", default="master", show_default=True, help="The branch, tag or commit, where VERSION is new.")
@click.option("--again", is_flag=True, help="Also where its last attempt failed, timed out or was a duplicate.")
@click.option("--even-built", is_flag=True, help="Also where the commit is built already.")
@may_wait()
@click.pass_obj
def build(context: Context, service: str, version: str, ref: str, again: bool, even_built: bool) -> None:
    """Has VERSION of SERVICE built at the service's origin, and makes it where it is not there yet."""
    wait = context.patience.waits
    path = f"/services/{quoted(service)}/versions/"
    known = [row for row in context.client.all(path) if row["version"] == version]
    made = known[0] if known else context.client.post(path, {"version": version, "ref": ref})
    path = f"{path}{made['id']}/build"
    one = context.client.post(path, {"again": again, "even_built": even_built})
    if wait:
        one = _until_ended(context, path, one)
    context.show(one, _line(service, version, one))
    if wait and one["status_str"] != WELL:
        if not context.as_json and one["log"]:
            click.echo(printable("\n".join(one["log"].splitlines()[-LINES:])), err=True)
        raise SystemExit(int(Exit.BADLY))


@click.command("attempts")
@click.argument("service")
@click.argument("version")
@click.pass_obj
def attempts(context: Context, service: str, version: str) -> None:
    """Every attempt to build VERSION of SERVICE, the newest first."""
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


@click.command("name")
@click.option("--ref", required=True, help="The branch or tag.")
@click.option("--commit", required=True, help="The commit's hash.")
@click.option("--time", "moment", required=True, help="When it was committed: git show -s --format=%cI")
def name(ref: str, commit: str, moment: str) -> None:
    """Prints what a version is called: TIME-BRANCH-COMMIT. Asks no server."""
    try:
        made = datetime.fromisoformat(moment.strip())
        if made.tzinfo is None:
            raise ValueError("needs a time zone")
    except ValueError:
        raise Ended(f"{moment!r} is no moment such as 2026-01-31T12:00:00+00:00.", Exit.WRONG_USE) from None
    try:
        click.echo(version_name(ref, commit, made))
    except ValueError as error:
        raise Ended(f"--commit {error}.", Exit.WRONG_USE) from None


def _until_ended(context: Context, path: str, one: dict[str, Any]) -> dict[str, Any]:
    """The build as it ended. Raises Ended with TIME_IS_UP when the client's patience is over."""
    while one["status_str"] in OPEN:
        left = context.client.patience.left
        late = f"Time is up: the build is {one['status_str']}. It goes on."
        if left <= 0:
            raise Ended(late, Exit.TIME_IS_UP)
        time.sleep(min(PAUSE, left))
        try:
            one = context.client.get(path)
        except OutOfTime as error:
            raise Ended(f"{late} {error.reason}", Exit.TIME_IS_UP) from None
    return one


def _line(service: str, version: str, one: dict[str, Any]) -> str:
    told = f"{service} {version}: attempt {one['attempt']} is {one['status_str']}"
    return f"{told}: {one['detail']}" if one["detail"] else told
