#!/usr/bin/env -S python3 -IS
"""What a pipeline does for one deployment, through the public API and nothing else.

    contestant.py HOSTS PACKAGE VERSION    publishes the version, uploads the package, upgrades the hosts, waits
    contestant.py HOSTS - VERSION          takes the hosts back to a version that was published before

HOSTS is a file with one address a line. `BENCH_API` names a file with the API's address and a token.
Ends with 0 once every host carries the version. It stands for the curl of a pipeline, whose start costs next to
nothing, so it imports what it needs and no more: http.client alone would take longer than some of its requests.
"""

import json
import os
import socket
import sys
import time

SERVICE = "app"
ENDED = ("succeeded", "failed", "cancelled")


class Api:
    """One connection, kept open. `send` returns the decoded JSON, and ends the program where it was refused."""

    def __init__(self, address: str, port: int, token: str):
        self._socket = socket.create_connection((address, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self._head = f"Host: {address}:{port}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"

    def get(self, path: str) -> dict:
        return self.send("GET", path, b"", "application/json")

    def post(self, path: str, body: dict) -> dict:
        return self.send("POST", path, json.dumps(body).encode(), "application/json")

    def send(self, method: str, path: str, body: bytes, kind: str) -> dict:
        content = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        self._socket.sendall(f"{method} /api/v1{path} HTTP/1.1\r\n{self._head}{content}\r\n".encode() + body)
        status = int(self._answers.readline().split()[1])
        length = 0
        while line := self._answers.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answer = json.loads(self._answers.read(length) or b"null")
        if status >= 300:
            sys.exit(f"{method} {path}: {status} {answer}")
        return answer


def upgrade(api: Api, addresses: set[str], package: str, version: str) -> None:
    number = api.post(f"/services/{SERVICE}/versions/", {"version": version, "ref": "master"})["id"]
    with open(package, "rb") as file:
        api.send("PUT", f"/services/{SERVICE}/versions/{number}/package", file.read(), "application/gzip")
    change(api, "upgrade", addresses, number)


def revert(api: Api, addresses: set[str], version: str) -> None:
    rows = api.get(f"/services/{SERVICE}/versions/?limit=500")["data"]
    change(api, "revert", addresses, next(row["id"] for row in rows if row["version"] == version))


def change(api: Api, action: str, addresses: set[str], number: int) -> None:
    """Send one request for each version that runs there now, then wait for all of them."""
    running: dict[int, list[int]] = {}
    for row in api.get(f"/services/{SERVICE}/instances/?limit=500")["data"]:
        if row["host"].rpartition(":")[2] in addresses:
            running.setdefault(row["version_id"], []).append(row["host_id"])
    if sum(map(len, running.values())) != len(addresses):
        sys.exit("the service is not installed on all of these hosts")
    deployments = [
        api.post(f"/services/{SERVICE}/versions/{old}/{action}", {"dest_version": number, "host": hosts})
        for old, hosts in running.items()
    ]
    for deployment in deployments:
        while deployment["status"] not in ENDED:
            deployment = api.get(f"/deployments/{deployment['id']}?wait=30")
        if deployment["status"] != "succeeded":
            sys.exit(f"deployment {deployment['id']} {deployment['status']}: {deployment['counts']}")


def main(hosts: str, package: str, version: str) -> None:
    way_in = os.environ.get("BENCH_API", "/tmp/deploy-bench/product.json")
    for _ in range(600):  # the product may still be starting
        if os.path.exists(way_in):
            break
        time.sleep(0.1)
    with open(way_in) as file:
        where = json.load(file)
    with open(hosts) as file:
        addresses = set(file.read().split())
    api = Api(where["address"], where["port"], where["token"])
    if package == "-":
        revert(api, addresses, version)
    else:
        upgrade(api, addresses, package, version)


if __name__ == "__main__":
    main(*sys.argv[1:])
