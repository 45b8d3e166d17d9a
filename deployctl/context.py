"""What every command uses: the client, output, and names resolved to ids."""

from __future__ import annotations

import argparse
import json
from typing import Any
from urllib.parse import quote

from . import waiting
from .cli import argument, say, seconds
from .client import Client, printable
from .exits import Ended, Exit
from .patience import Patience

SERVICE = argument("service", help="A service's name or id.")
VERSION = argument("version", help="A version's name or id.")
NOTE = argument("--note", default="", metavar="TEXT", help="Why, for the people who look at it later.")
WHEN = (
    argument("--start-at", metavar="TIME", help="Not before this time, such as 2026-12-01T22:00:00+01:00."),
    argument("--on-freeze", choices=("wait", "refuse"), help="In a freeze: wait for its end (default), or be refused."),
)
# Of a command that may wait.
WAIT = argument("--wait", action=argparse.BooleanOptionalAction, default=True, help="Wait for the result.")
TIMEOUT = argument(
    "--timeout",
    type=seconds,
    default=0.0,
    metavar="SECONDS",
    help="Wait no longer, whatever happens to the server meanwhile. 0: no limit.",
)


class Context:
    """The global options. The client is created on first use, so that --help needs no token."""

    def __init__(self, url: str, token: str, as_json: bool, patience: Patience):
        self.url, self.token, self.as_json, self.patience = url, token, as_json, patience
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        if self._client is None:
            if not self.token:
                raise Ended("No token: set DEPLOYCTL_TOKEN or use --token-file.", Exit.USAGE_ERROR)
            self._client = Client(self.url, self.token, self.patience)
        return self._client

    def show(self, data: Any, text: str) -> None:
        """Print `data` with --json, else `text`."""
        say(json.dumps(data, ensure_ascii=False) if self.as_json else printable(text))

    def version(self, service: str, which: str) -> dict:
        """Return a version by its name or its id; digits are tried as a name first."""
        rows = [row for row in self.client.all(f"/services/{quoted(service)}/versions/") if row["version"] == which]
        if not rows and is_id(which):
            return self.client.get(f"/services/{quoted(service)}/versions/{which}")
        if not rows:
            raise Ended(f"{service} has no version {which}.", Exit.USAGE_ERROR)
        return rows[0]

    def host(self, which: str) -> int:
        """Return the id of a host, given by id or name."""
        if is_id(which):
            return int(which)
        rows = [row for row in self.client.all("/hosts/", hostname=which) if row["hostname"] == which]
        if not rows:
            raise Ended(f"Host {which} not found.", Exit.USAGE_ERROR)
        return rows[0]["id"]

    def follow(self, deployments: list[dict]) -> None:
        """Print deployments, wait for their end with --wait, and exit with their result."""
        waits = self.patience.waits
        if waits:
            deployments = waiting.until_ended(self.client, deployments, quiet=self.as_json)
        text = [waiting.line(deployment) for deployment in deployments]
        bad = [row for row in deployments if row["status"] in ("failed", "cancelled")] if waits else []
        for deployment in bad if not self.as_json else ():
            text += waiting.failures(self.client, deployment)
        self.show(deployments[0] if len(deployments) == 1 else deployments, "\n".join(text))
        if bad:
            raise SystemExit(int(Exit.FAILED))


def said_body(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what a request says besides what and where: why, and when."""
    given = {name: getattr(arguments, name, None) for name in ("note", "start_at", "on_freeze")}
    return {name: value for name, value in given.items() if value}


def quoted(name: str) -> str:
    return quote(name, safe="")


def is_id(text: str) -> bool:
    return text.isascii() and text.isdigit()
