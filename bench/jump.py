"""An upgrade of hosts behind a slow link: each gets the package over it, or from the jump host."""

import time
from collections.abc import Iterator

from demo.network import choose_port

from . import packages
from .figure import Figure
from .lab import Lab
from .product import DEFINITION
from .relay import Relay

HOSTS = 10
RATE = 2 << 20  # bytes a second
SIZE = 1 << 20
SERVICE = "behind"


def measure(lab: Lab) -> Iterator[Figure]:
    product, address = lab.product(), lab.hosts.addresses[0]
    behind = lab.hosts.addresses[:HOSTS]
    with Relay(address, lab.hosts.port, RATE) as line:
        jump, hosts = _hosts(lab, line.port, behind)
        product.client.post("services/", DEFINITION | {"name": SERVICE})
        versions = [_publish(lab, name) for name in ("v1", "v2", "v3")]
        path = f"services/{SERVICE}/versions"
        product.ended(product.client.post(f"{path}/{versions[0]}/install", {"host": hosts}))
        seconds, crossed = [], []
        for number, port in ((1, None), (2, choose_port(address))):
            product.client.patch(f"hosts/{jump}", {"package_port": port})
            before, began = line.passed, time.perf_counter()
            request = {"dest_version": versions[number], "host": "all"}
            product.ended(product.client.post(f"{path}/{versions[number - 1]}/upgrade", request))
            seconds.append(time.perf_counter() - began)
            crossed.append((line.passed - before) / SIZE)
    yield Figure(f"{len(behind)} hosts, each through the line", seconds[0], "s")
    yield Figure(f"{len(behind)} hosts, each through the line: crossed", crossed[0], "packages")
    yield Figure(f"{len(behind)} hosts fetch from the jump host", seconds[1], "s")
    yield Figure(f"{len(behind)} hosts fetch from the jump host: crossed", crossed[1], "packages")
    yield Figure("fetched : through the line", seconds[1] / seconds[0], "of the time", 0.5)


def _hosts(lab: Lab, port: int, addresses: list[str]) -> tuple[int, list[int]]:
    """Create the jump host, known by the slow line to it, and the hosts behind it."""
    client = lab.product().client
    (credential,) = (row["id"] for row in client.get("credentials/")["data"])
    known = {"username": lab.hosts.user, "credential_id": credential, "host_key": lab.hosts.host_key}
    jump = client.post("hosts/", known | {"hostname": "jump", "ip": addresses[0], "port": port})["id"]
    folder = lab.folder / SERVICE
    rows = [
        known
        | {
            "hostname": f"behind{number}",
            "ip": address,
            "port": lab.hosts.port,
            "jump_host_id": jump,
            "base_path": str(folder / address),
        }
        for number, address in enumerate(addresses, 1)
    ]
    return jump, [row["id"] for row in client.post("hosts/import", rows)["data"]]


def _publish(lab: Lab, name: str) -> int:
    client = lab.product().client
    version = client.post(f"services/{SERVICE}/versions/", {"version": name})["id"]
    package = packages.make(lab.folder, name, SIZE)
    client.put_package(f"services/{SERVICE}/versions/{version}/package", package.read_bytes())
    return version
