"""The demo's environments: staging, and production, which takes what ran well in staging, with a second person's yes.

Data, and how it gets in through the HTTP API. What a person made of it meanwhile is left as it is.
"""

import os
from typing import Any

from .client import Client

STAGING, PRODUCTION = "staging", "production"
HOSTS = {STAGING: ("web-fra-1", "web-fra-2"), PRODUCTION: ("web-iad-1", "web-iad-2")}
SOAK_MINUTES = 1
APPEARANCE = {STAGING: {"colour": "blue"}, PRODUCTION: {"colour": "red"}}
DESCRIPTION = {STAGING: "Where every version goes first", PRODUCTION: "What customers see"}


def wanted() -> bool:
    """Return whether the demo has environments; DEMO_ENVIRONMENTS=off leaves them out."""
    return os.environ.get("DEMO_ENVIRONMENTS") != "off"


def create(client: Client, hosts: dict[str, int]) -> dict[str, int]:
    """Create the environments with their hosts (name to id), unless there are any. Return the ids by name.

    Nothing is asked of a version yet: what the demo deploys first goes to both of them.
    """
    if not wanted():
        return {}
    known = {row["name"]: row["id"] for row in client.all("environments/")}
    if known:
        return known
    for name, names in HOSTS.items():
        known[name] = client.post("environments/", {"name": name, **APPEARANCE[name]})["id"]
        client.post(f"environments/{known[name]}/hosts", {"host": [hosts[host] for host in names]})
    return known


def protect(client: Client, environments: dict[str, int]) -> None:
    """Say what production asks for. An environment without a description is one that is not finished."""
    if not set(HOSTS) <= set(environments):
        return
    for name in HOSTS:
        path = f"environments/{environments[name]}"
        if not client.get(path)["description"]:
            client.patch(path, _finished(name, environments))


def _finished(name: str, environments: dict[str, int]) -> dict[str, Any]:
    asks = {"requires_id": environments[STAGING], "soak_minutes": SOAK_MINUTES, "approvals": 1}
    return {"description": DESCRIPTION[name], **(asks if name == PRODUCTION else {})}
