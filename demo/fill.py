"""Fill the demo through the HTTP API, as a pipeline would: credential, hosts, environments, services, builds, installs.

Safe to run again: what is there already is left as it is, or brought up to date.
"""

import functools
import time
from collections.abc import Callable, Sequence

from . import company, environments
from .client import Client
from .hosts import Host
from .network import choose_port
from .service import definition

CREDENTIAL = "demo"
Pipeline = Callable[[], Client]  # made when there is something for it to do


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
    company.people(client)
    company.host_groups(client)
    within = environments.create(client, {host.name: number for host, number in zip(hosts, ids, strict=True)})
    pipeline = functools.cache(lambda: company.pipeline(client))
    _service(client, definition.service(python) | {"team": company.SHOP})
    versions = _versions(client, pipeline, definition.NAME, definition.BUILDS)
    places = list(zip(hosts, ids, strict=True))
    begun = _install(client, pipeline, definition.NAME, [(*place, versions[definition.FIRST]) for place in places])
    bring = bool(begun)
    for service in company.SERVICES:
        _service(client, definition.service(python) | service.fields())
        versions = _versions(client, pipeline, service.name, service.builds)
        chosen = [(*places[number], versions[service.builds[build][0]]) for number, build in service.runs.items()]
        begun += _install(client, pipeline, service.name, chosen)
    if repository:
        built = definition.built(python, repository) | {"team": company.SHOP}
        _to_be_built(client, pipeline, built, commits)
    _until_ended(client, begun)
    if bring:
        _until_ended(client, [_deploy(client, name) for name in within or [None]])
    environments.protect(client, within)
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
        "labels": company.LABELS[host.name],
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


def _to_be_built(client: Client, pipeline: Pipeline, wanted: dict, commits: dict[str, str]) -> None:
    """Create a service with an unbuilt version of each branch."""
    _service(client, wanted)
    path = f"services/{wanted['name']}/versions/"
    if client.get(path)["count"]:
        return
    for number, (branch, commit) in enumerate(commits.items(), 1):
        pipeline().post(path, {"version": f"202504{number:02}090000-{branch}-{commit}", "ref": branch})


def _versions(
    client: Client, pipeline: Pipeline, service: str, builds: Sequence[tuple[str, bool, str]]
) -> dict[str, int]:
    """Return ids by name, created in the order of the builds: a newer version has a higher id."""
    path = f"services/{service}/versions/"
    known = {row["version"]: row for row in client.all(path)}
    for version, success, description in builds:
        if version not in known:
            known[version] = pipeline().post(path, {"version": version, "ref": "master", "description": description})
        row = known[version]
        if success and row["status_str"] != "success":
            pipeline().put_package(f"{path}{row['id']}/package", definition.package(version))
        if not success and row["status_str"] == "pending":
            pipeline().patch(f"{path}{row['id']}", {"status": "failed"})
    return {name: row["id"] for name, row in known.items()}


def _install(client: Client, pipeline: Pipeline, service: str, chosen: list[tuple[Host, int, int]]) -> list[int]:
    """Begin to install each version on its host, unless anything is installed. Return the deployments.

    Each host has its own port, because all of them are one machine."""
    if client.get(f"services/{service}/instances/")["count"]:
        return []
    return [
        pipeline().post(
            f"services/{service}/versions/{version}/install",
            {"host": [number], "port": choose_port(host.ip), "tag": "web", "note": company.FIRST},
        )["id"]
        for host, number, version in chosen
    ]


def _deploy(client: Client, environment: str | None) -> int:
    """Begin to bring the first service from its first version to the one that runs. Return the deployment."""
    wanted = {"version": definition.INSTALLED, "host": "all", "strategy": {"canary": 1}, "note": company.SECOND}
    wanted |= {"environment": environment} if environment else {}
    return client.post(f"services/{definition.NAME}/deploy", wanted)["id"]


def _until_ended(client: Client, deployments: list[int]) -> None:
    for number in deployments:
        result = ended(client, number)
        if result["status"] != "succeeded":
            rows = client.get(f"deployments/{number}/operations/")["data"]
            raise RuntimeError(f"deployment {number} did not succeed: {'; '.join(row['error'] for row in rows)}")


def ended(client: Client, number: int, seconds: float = 90) -> dict:
    """Return the deployment after its end."""
    deadline = time.monotonic() + seconds
    while True:
        deployment = client.get(f"deployments/{number}?wait=30")
        if deployment["status"] in ("succeeded", "failed", "cancelled"):
            return deployment
        if time.monotonic() > deadline:
            raise RuntimeError(f"deployment {number} is still {deployment['status']} after {seconds:.0f} s")
