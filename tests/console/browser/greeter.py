"""A service of a test file's own on the demo's four hosts, so that no file depends on what another one has left."""

import re
import socket
import sys
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Page, expect

from demo.client import Client
from demo.misbehave import script
from demo.service import definition
from microservice.status import DEPLOYMENT_ENDED
from tests.lab.busy import within
from tests.lab.network import wait_until

COMMITS = ("1111111", "2222222", "3333333", "4444444", "5555555")


def soon() -> float:
    """The limit in milliseconds for what takes some seconds on a quiet machine."""
    return 1000 * max(60, within(10))


def later() -> float:
    """The same for a build or a deployment to end."""
    return 2 * soon()


def ended(client: Client, number: int) -> dict:
    """Return the deployment once it has ended."""

    def found() -> dict | None:
        row = client.get(f"deployments/{number}?wait=30")
        return row if row["status"] in DEPLOYMENT_ENDED else None

    return wait_until(found, 30, f"the end of deployment {number}")


def version_name(number: int) -> str:
    return f"2026010{number}120000-master-{COMMITS[number - 1]}"


class Greeter:
    """`Greeter(demo, "greeter")`: made, with two versions; the first runs on web-fra-1 to web-iad-2."""

    def __init__(self, demo: dict, name: str, **more):
        self.name, self.demo, self.client = name, demo, Client(demo["url"], demo["token"])
        made = self.client.post("services/", definition.service(sys.executable) | {"name": name, **more})
        self.pk = made["id"]
        self.ids = {number: self.publish(number) for number in (1, 2)}
        deployments = [self._install(host["id"]) for host in demo["hosts"]]
        for number in deployments:
            status = ended(self.client, number)["status"]
            assert status == "succeeded", self.client.all(f"deployments/{number}/operations/")[0]["error"]

    def _install(self, host: int) -> int:
        """Each with a port of its own: they all listen on 127.0.0.1 too."""
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        body = {"host": [host], "port": port, "tag": "test"}
        return self.client.post(f"services/{self.name}/versions/{self.ids[1]}/install", body)["id"]

    def publish(self, number: int) -> int:
        version = version_name(number)
        made = self.client.post(f"services/{self.name}/versions/", {"version": version})
        path = f"services/{self.name}/versions/{made['id']}/package"
        self.client.put_package(path, definition.package(version))
        return made["id"]

    def misbehave(self, host: str, kind: str, step: str = "") -> None:
        """Let the next change on this host fail or hang in the step; "heal" ends it."""
        root = next(Path(one["root"]) for one in self.demo["hosts"] if one["hostname"] == host)
        switch = root / self.name / "shared" / "misbehave"
        if kind == "heal":
            switch.unlink(missing_ok=True)
        else:
            switch.write_text(script(kind, step, (root / self.name / "current").resolve().name))

    def at_version(self, number: int) -> None:
        """All four run this version, whatever a test before has left."""
        for row in self.client.all(f"services/{self.name}/instances/"):
            self.misbehave(row["host"].split(":")[0], "heal")
        running = {row["version_id"] for row in self.client.all(f"services/{self.name}/instances/")}
        for old in running - {self.ids[number]}:
            action = "upgrade" if old < self.ids[number] else "revert"
            body = {"dest_version": self.ids[number], "host": "all"}
            accepted = self.client.post(f"services/{self.name}/versions/{old}/{action}", body)
            assert ended(self.client, accepted["id"])["status"] == "succeeded"

    def dialog(self, number: int, action: str, more: str = "") -> str:
        return f"/services/{self.name}/versions/{self.ids[number]}/{action}/{more}"


def is_in(page: Page, status: str, done: str = "") -> None:
    """Wait until the deployment page shows it by itself: nothing is reloaded here."""
    expect(page.locator("#live-head .status").first).to_have_text(status, timeout=later())
    if done:
        expect(page.get_by_label("Progress")).to_contain_text(done, timeout=later())


def confirm(page: Page, words: str) -> str:
    """Click the dialog's one button; return the deployment's address."""
    button = page.locator("#confirm")
    expect(button).to_have_text(re.compile(words))
    button.click()
    page.wait_for_url("**/deployments/*/")
    return page.url
