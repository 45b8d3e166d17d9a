"""Fill the demo through the HTTP API, as a pipeline would: credential, hosts, the service with its builds, installs.

Safe to run again: what is there already is left as it is, or brought up to date.
"""

import time

from .client import Client
from .hosts import Host
from .network import choose_port
from .service import definition

CREDENTIAL = "demo"


def fill(
    client: Client,
    hosts: list[Host],
    private_key: str,
    username: str,
    python: str,
    repository: str,
    commits: dict[str, str],
) -> list[int]:
    """Bring the demo's data up to date. Return the hosts' ids, in order."""
    credential = _credential(client, private_key)
    known = {row["hostname"]: row for row in client.all("hosts/")}
    ids = [_host(client, host, known.get(host.name), credential, username) for host in hosts]
    _service(client, definition.service(python))
    if repository:
        _to_be_built(client, definition.built(python, repository), commits)
    versions = _versions(client)
    _install(client, hosts, ids, versions[definition.INSTALLED])
    return ids


def _credential(client: Client, private_key: str) -> int:
    wanted = {"name": CREDENTIAL, "kind": "key", "secret": private_key}
    for row in client.all("credentials/"):
        if row["name"] == CREDENTIAL:
            return row["id"]
    return client.post("credentials/", wanted)["id"]


def _host(client: Client, host: Host, row: dict | None, credential: int, username: str) -> int:
    wanted = {
        "hostname": host.name,
        "ip": host.ip,
        "port": host.port,
        "username": username,
        "credential_id": credential,
        "base_path": str(host.root),
        "host_key": host.key,
        "labels": {"demo": "yes"},
    }
    if row is None:
        return client.post("hosts/", wanted)["id"]
    moved = {name: wanted[name] for name in ("ip", "port", "base_path") if row[name] != wanted[name]}
    if moved:
        client.patch(f"hosts/{row['id']}", moved)
    return row["id"]


def _service(client: Client, wanted: dict) -> None:
    path, python = f"services/{wanted['name']}", wanted["environment"]["PYTHON"]
    row = client.find(path)
    if row is None:
        client.post("services/", wanted)
    elif row["environment"].get("PYTHON") != python:  # the virtual environment has moved
        client.patch(path, {"environment": row["environment"] | {"PYTHON": python}})


def _to_be_built(client: Client, wanted: dict, commits: dict[str, str]) -> None:
    """Create a service with an unbuilt version of each branch."""
    _service(client, wanted)
    path = f"services/{wanted['name']}/versions/"
    if client.get(path)["count"]:
        return
    for number, (branch, commit) in enumerate(commits.items(), 1):
        client.post(path, {"version": f"202504{number:02}090000-{branch}-{commit}", "ref": branch})


def _versions(client: Client) -> dict[str, int]:
    """Return ids by name, created in the order of the builds: a newer version has a higher id."""
    path = f"services/{definition.NAME}/versions/"
    known = {row["version"]: row for row in client.all(path)}
    for version, success, description in definition.BUILDS:
        if version not in known:
            known[version] = client.post(path, {"version": version, "ref": "master", "description": description})
        row = known[version]
        if success and row["status_str"] != "success":
            client.put_package(f"{path}{row['id']}/package", definition.package(version))
        if not success and row["status_str"] == "pending":
            client.patch(f"{path}{row['id']}", {"status": "failed"})
    return {name: row["id"] for name, row in known.items()}


def _install(client: Client, hosts: list[Host], ids: list[int], version: int) -> None:
    """Install on all hosts at the same time, each with its own port, unless anything is installed."""
    if client.get(f"services/{definition.NAME}/instances/")["count"]:
        return
    path = f"services/{definition.NAME}/versions/{version}/install"
    deployments = [
        client.post(path, {"host": [number], "port": choose_port(host.ip), "tag": "demo"})
        for host, number in zip(hosts, ids, strict=True)
    ]
    for deployment in deployments:
        result = ended(client, deployment["id"])
        if result["status"] != "succeeded":
            operations = client.get(f"deployments/{deployment['id']}/operations/")
            rows = operations["data"] if isinstance(operations, dict) else operations
            raise RuntimeError(f"{definition.NAME} was not installed: {'; '.join(row['error'] for row in rows)}")


def ended(client: Client, number: int, seconds: float = 90) -> dict:
    """Return the deployment after its end."""
    deadline = time.monotonic() + seconds
    while True:
        deployment = client.get(f"deployments/{number}?wait=30")
        if deployment["status"] in ("succeeded", "failed", "cancelled"):
            return deployment
        if time.monotonic() > deadline:
            raise RuntimeError(f"deployment {number} is still {deployment['status']} after {seconds:.0f} s")
