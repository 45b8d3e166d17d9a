"""What every command uses: the client, output, and names resolved to ids."""

import functools
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from . import waiting
from .client import Client, printable
from .exits import Ended, Exit
from .patience import Patience


class Context:
    """The global options. The client is created on first use, so that --help needs no token."""

    def __init__(self, url: str, token: str, as_json: bool):
        self.url, self.token, self.as_json = url, token, as_json
        self.patience = Patience()
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
        click.echo(json.dumps(data, ensure_ascii=False) if self.as_json else printable(text))

    def version(self, service: str, which: str) -> dict:
        """Return a version by its name or its id; digits are tried as a name first."""
        rows = [row for row in self.client.all(f"/services/{quoted(service)}/versions/") if row["version"] == which]
        if not rows and which.isascii() and which.isdigit():
            return self.client.get(f"/services/{quoted(service)}/versions/{which}")
        if not rows:
            raise Ended(f"{service} has no version {which}.", Exit.USAGE_ERROR)
        return rows[0]

    def host(self, which: str) -> int:
        """Return the id of a host, given by id or name."""
        if which.isascii() and which.isdigit():
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


def quoted(name: str) -> str:
    return quote(name, safe="")


def may_wait(default: bool = True) -> Callable:
    """Add --wait and --timeout to a command."""

    def with_options(command: Callable) -> Callable:
        @functools.wraps(command)
        def run(*args: Any, wait: bool, timeout: float, **more: Any) -> Any:
            if wait:
                click.get_current_context().obj.patience = Patience(waits=True, timeout=timeout)
            return command(*args, **more)

        with_timeout = click.option(
            "--timeout",
            type=click.FloatRange(0),
            default=0,
            help="Maximum seconds to wait, whatever happens to the server meanwhile; 0: no limit.",
        )(run)
        return click.option("--wait/--no-wait", default=default, show_default=True, help="Wait for the result.")(
            with_timeout
        )

    return with_options
