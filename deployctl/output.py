"""The command that prints and follows the output of a deployment."""

from __future__ import annotations

import argparse
import time

from . import waiting
from .cli import argument, command, say, whole
from .client import printable
from .context import Context


@command(
    "logs",
    argument("deployment", type=whole(1), help="A deployment's number."),
    argument("-f", "--follow", action="store_true", help="Follow until the deployment has ended."),
)
def logs(context: Context, arguments: argparse.Namespace) -> None:
    """Print the output of DEPLOYMENT's commands on its hosts."""
    deployment, follow = arguments.deployment, arguments.follow
    read: dict[int, int] = {}
    context.patience.waits = follow
    begun: dict[int, bytes] = {}  # incomplete lines
    while True:
        ended = context.client.get(f"/deployments/{deployment}")["status"] in waiting.ENDED
        for row in context.client.all(f"/deployments/{deployment}/operations/"):
            _print_new(context, row, read, begun, last=ended or not follow)
        if ended or not follow:
            return
        time.sleep(0.5)


def _print_new(context: Context, row: dict, read: dict[int, int], begun: dict[int, bytes], last: bool) -> None:
    """Print complete lines, and with `last` the rest; of a rewritten line, its final content."""
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
            say(f"{printable(row['host'])} | {printable(frames[-1] if frames else '')}")
        if not answer.raw:
            return


def _text(line: bytes, charset: str) -> str:
    for name in ("utf-8", charset) if charset == "utf-8" else (charset, "utf-8"):
        try:
            return line.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return line.decode("utf-8", "replace")
