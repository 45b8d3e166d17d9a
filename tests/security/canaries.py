"""Secrets that can be told from every other text, and every place where one could come out."""

import http.cookiejar
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from django.db import connection

from demo.client import Client
from tests.lab.network import wait_until
from tests.lab.web import Web

PAGES = (
    "/",
    "/hosts/",
    "/hosts/{host}/",
    "/credentials/",
    "/tokens/",
    "/history/",
    "/settings/",
    "/callbacks/",
    "/deployments/",
    "/deployments/{deployment}/",
    "/operations/{operation}/",
    "/services/shop/",
    "/services/shop/versions/",
    "/services/shop/settings/",
)


LISTS = (
    "credentials/",
    "tokens/",
    "hosts/",
    "settings/",
    "settings/history",
    "callbacks/",
    "users/",
    "teams/",
    "history/",
    "deployments/{deployment}",
    "deployments/{deployment}/operations/",
    "services/shop",
    "services/shop/instances/",
)


class Processes(threading.Thread):
    """What every process of this machine was started with, looked at again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.02):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    self.seen.add((folder / "cmdline").read_bytes())
                except OSError:
                    continue


def surroundings(*pids: int) -> bytes:
    """Return the environments of these processes, which know secrets and must not have them there."""
    return b"\n".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in pids)


def browser(web: Web, name: str, password: str) -> urllib.request.OpenerDirector:
    """Return an opener with the cookies of a user who signed in through the form."""
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)
    form = opener.open(f"{web.url}/login/").read().decode()
    field = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert field
    words = urllib.parse.urlencode({"csrfmiddlewaretoken": field[1], "username": name, "password": password})
    answer = opener.open(f"{web.url}/login/", words.encode())
    assert "/login/" not in answer.url
    return opener


def rows() -> bytes:
    """Every cell of every table, as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [
                bytes(cell) if isinstance(cell, memoryview | bytes) else str(cell).encode()
                for row in cursor.fetchall()
                for cell in row
            ]
    return b"\n".join(found)


def built(client: Client, name: str) -> dict:
    """Return the build of a new version of that name, once it has ended."""
    version = client.post("services/shop/versions/", {"version": name, "ref": "master"})["id"]
    path = f"services/shop/versions/{version}/build"
    client.post(path, {})
    wait_until(lambda: client.get(path)["finished"], 60, "the build")
    return client.get(path)


def download(web: Web, token: str, number: int) -> bytes:
    """All that an operation printed, as it is downloaded."""
    request = urllib.request.Request(
        f"{web.url}/api/v1/operations/{number}/log", headers={"Authorization": f"Bearer {token}"}
    )
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20).read()


def client_events(web: Web, token: str, number: int) -> bytes:
    """All events of a deployment that has ended."""
    request = urllib.request.Request(
        f"{web.url}/api/v1/deployments/{number}/events",
        headers={"Authorization": f"Bearer {token}", "Last-Event-ID": "0"},
    )
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20).read()
