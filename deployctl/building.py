"""Commands for builds and for the names of versions."""

from __future__ import annotations

import argparse
import re
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .cli import argument, command, say, whole
from .client import printable
from .context import SERVICE, TIMEOUT, VERSION, WAIT, Context, quoted
from .exits import Ended, Exit, OutOfTime
from .naming import version_name

SUCCESS, OPEN = "success", ("pending", "building")
PAUSE = 2.0  # seconds between two polls
MAX_LINES = 20  # of the output of a failed build


@command(
    "build",
    SERVICE,
    VERSION,
    argument("--ref", default="master", help="The branch, tag or commit of a new VERSION (default: master)."),
    argument("--again", action="store_true", help="Build again after a failure, a timeout or a duplicate."),
    argument("--even-built", action="store_true", help="Build even if the commit is already built."),
    argument("--callback-url", default="", metavar="URL", help="Receives a message when this build ends."),
    argument("--callback-headers", metavar="FILE", help='Lines "Name: value" sent with it; - reads standard input.'),
    argument("--callback-state", metavar="TEXT", help="A text that the message returns."),
    WAIT,
    TIMEOUT,
)
def build(context: Context, arguments: argparse.Namespace) -> None:
    """Build VERSION of SERVICE at its build source; create the version if it does not exist."""
    service, version = arguments.service, arguments.version
    options = {"again": arguments.again, "even_built": arguments.even_built, **_callback_fields(arguments)}
    wait = context.patience.waits
    path = f"/services/{quoted(service)}/versions/"
    known = [row for row in context.client.all(path) if row["version"] == version]
    row = known[0] if known else context.client.post(path, {"version": version, "ref": arguments.ref})
    path = f"{path}{row['id']}/build"
    attempt = context.client.post(path, options)
    if wait:
        attempt = _until_ended(context, path, attempt)
    context.show(attempt, _line(service, version, attempt))
    if wait and attempt["status_str"] != SUCCESS:
        if not context.as_json and attempt["log"]:
            say(printable("\n".join(attempt["log"].splitlines()[-MAX_LINES:])), err=True)
        raise SystemExit(int(Exit.FAILED))


def _callback_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the callback's fields of a request. Headers may be passwords, so they are in no argument list."""
    fields: dict[str, Any] = {"callback_url": arguments.callback_url} if arguments.callback_url else {}
    if arguments.callback_state is not None:
        fields["callback_state"] = arguments.callback_state
    if arguments.callback_headers is not None:
        lines = [line.partition(":") for line in _read(arguments.callback_headers).splitlines() if line.strip()]
        if not all(sign for _, sign, _ in lines):
            raise Ended("--callback-headers: each line must be Name: value.", Exit.USAGE_ERROR)
        fields["callback_headers"] = {name.strip(): value.strip() for name, _, value in lines}
    return fields


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Ended(f"--callback-headers: {error}.", Exit.USAGE_ERROR) from None


@command("versions attempts", SERVICE, VERSION)
def attempts(context: Context, arguments: argparse.Namespace) -> None:
    """List the attempts to build VERSION of SERVICE, newest first."""
    service = arguments.service
    number = context.version(service, arguments.version)["id"]
    rows = context.client.get(f"/services/{quoted(service)}/versions/{number}/builds/")["data"]
    context.show(
        rows,
        "\n".join(
            f"{row['attempt']:>4}  {row['created']:24}  {row['status_str']:9}  {row['requested_by']:16}  "
            f"{row['detail']}"
            for row in rows
        ),
    )


@command(
    "builds list",
    argument("--service", default="", help="Only of this service."),
    argument("--status", default="", help="open, or a status of builds."),
    argument("--by", dest="requested_by", default="", metavar="USER", help="Only those that this user requested."),
    argument("--limit", type=whole(1, 500), default=50, help="At most so many (default: 50)."),
)
def list_builds(context: Context, arguments: argparse.Namespace) -> None:
    """List the builds, newest first."""
    wanted = {name: getattr(arguments, name) for name in ("service", "status", "requested_by", "limit")}
    rows = context.client.get(f"/builds/?{urlencode({name: value for name, value in wanted.items() if value})}")["data"]
    context.show(
        rows,
        "\n".join(
            f"{row['created']:24}  {row['status_str']:9}  {row['service']['name']:24}  {row['version']['version']:32}  "
            f"{row['requested_by']:16}  {row['detail']}"
            for row in rows
        ),
    )


@command("builds cancel", SERVICE, VERSION, argument("--reason", default="", help="Kept in the history."))
def cancel(context: Context, arguments: argparse.Namespace) -> None:
    """Cancel the build of VERSION of SERVICE, here and at its build server."""
    service, version = arguments.service, arguments.version
    path = f"/services/{quoted(service)}/versions/{context.version(service, version)['id']}/build/cancel"
    attempt = context.client.post(path, {"reason": arguments.reason})
    context.show(attempt, _line(service, version, attempt))


@command(
    "versions name",
    argument("--ref", required=True, help="The branch or tag."),
    argument("--commit", required=True, help="The commit's hash."),
    argument("--time", dest="moment", required=True, help="The time of the commit: git show -s --format=%%cI"),
)
def name(context: Context, arguments: argparse.Namespace) -> None:
    """Print the name of a version: TIME-BRANCH-COMMIT. No server is contacted."""
    moment = arguments.moment
    try:
        # Before Python 3.11, fromisoformat knows no "Z".
        time_of_commit = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", moment.strip()))
        if time_of_commit.tzinfo is None:
            raise ValueError("needs a time zone")
    except ValueError:
        raise Ended(f"{moment!r} is not a valid time such as 2026-01-31T12:00:00+00:00.", Exit.USAGE_ERROR) from None
    try:
        say(version_name(arguments.ref, arguments.commit, time_of_commit))
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
