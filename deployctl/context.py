"""What every command has: the client, how to print, and names turned into ids."""

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
    """Made of the options; the client is made by its first use, so that --help needs no token."""

    def __init__(self, url: str, token: str, as_json: bool):
        self.url, self.token, self.as_json = url, token, as_json
        self.patience = Patience()
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        if self._client is None:
            if not self.token:
                raise Ended("There is no token: set DEPLOYCTL_TOKEN, or name a file with --token-file.", Exit.WRONG_USE)
            self._client = Client(self.url, self.token, self.patience)
        return self._client

    def show(self, data: Any, text: str) -> None:
        """`data` with --json, else `text`."""
        click.echo(json.dumps(data, ensure_ascii=False) if self.as_json else printable(text))

    def version(self, service: str, which: str) -> dict:
        """A version by its id or its name; a name that is all digits is tried as a name first."""
        found = [row for row in self.client.all(f"/services/{quoted(service)}/versions/") if row["version"] == which]
        if not found and which.isascii() and which.isdigit():
            return self.client.get(f"/services/{quoted(service)}/versions/{which}")
        if not found:
            raise Ended(f"{service} has no version {which}.", Exit.WRONG_USE)
        return found[0]

    def host(self, which: str) -> int:
        """A host's id by its id or its name."""
        if which.isascii() and which.isdigit():
            return int(which)
        found = [row for row in self.client.all("/hosts/", hostname=which) if row["hostname"] == which]
        if not found:
            raise Ended(f"There is no host {which}.", Exit.WRONG_USE)
        return found[0]["id"]

    def follow(self, deployments: list[dict]) -> None:
        """Prints deployments, waits for their end where that was asked for, and ends the command as they ended."""
        waits = self.patience.waits
        if waits:
            deployments = waiting.until_ended(self.client, deployments, quiet=self.as_json)
        text = [waiting.line(one) for one in deployments]
        bad = [one for one in deployments if one["status"] in ("failed", "cancelled")] if waits else []
        for one in bad if not self.as_json else ():
            text += waiting.failures(self.client, one)
        self.show(deployments[0] if len(deployments) == 1 else deployments, "\n".join(text))
        if bad:
            raise SystemExit(int(Exit.BADLY))


def quoted(name: str) -> str:
    return quote(name, safe="")


def may_wait(default: bool = True) -> Callable:
    """Gives a command --wait and --timeout, and the client the patience that they ask for."""

    def with_options(command: Callable) -> Callable:
        @functools.wraps(command)
        def begun(*args: Any, wait: bool, timeout: float, **more: Any) -> Any:
            if wait:
                click.get_current_context().obj.patience = Patience(waits=True, timeout=timeout)
            return command(*args, **more)

        told = click.option(
            "--timeout",
            type=click.FloatRange(0),
            default=0,
            help=("Seconds to wait at most, whatever happens to the server meanwhile; 0: no limit."),
        )(begun)
        return click.option(
            "--wait/--no-wait", default=default, show_default=True, help="Come back when it has ended."
        )(told)

    return with_options
