"""The company of the demo: its teams, people, host groups, and the services beside the first one. Data, and how it gets
in through the HTTP API. What is there already is left as it is.
"""

from dataclasses import dataclass, field
from typing import Any

from .client import Client
from .service.definition import links
from .surroundings import APPROVER

SHOP, PAYMENTS, FULFILMENT = "Shop", "Payments", "Fulfilment"
FIRST, SECOND = "First rollout", "Delivery dates before the weekend"

LABELS = {
    "web-fra-1": {"site": "fra", "role": "web", "canary": "yes"},
    "web-fra-2": {"site": "fra", "role": "web"},
    "web-iad-1": {"site": "iad", "role": "web"},
    "web-iad-2": {"site": "iad", "role": "web"},
}
GROUPS: tuple[dict[str, Any], ...] = (
    {"name": "Frankfurt", "labels": {"site": "fra"}, "description": "Data centre in Frankfurt"},
    {"name": "Ashburn", "labels": {"site": "iad"}, "description": "Data centre in Ashburn"},
    {"name": "Canary", "labels": {"canary": "yes"}, "description": "Hosts that get every version first"},
)

TEAMS = {
    SHOP: "Web shop, basket and search",
    PAYMENTS: "Cards, refunds and invoices",
    FULFILMENT: "Stock, delivery and messages to customers",
}
PIPELINE = "gitlab-ci"
# None of them has a password: only the demo's own two people can sign in.
PEOPLE = (
    ("maria.santos", "Maria", "Santos", {SHOP: "owner"}),
    ("jonas.weber", "Jonas", "Weber", {SHOP: "deployer", FULFILMENT: "viewer"}),
    ("aisha.khan", "Aisha", "Khan", {PAYMENTS: "owner"}),
    ("wei.li", "Wei", "Li", {PAYMENTS: "deployer", FULFILMENT: "deployer"}),
    ("tom.novak", "Tom", "Novak", {FULFILMENT: "owner", SHOP: "viewer"}),
)


@dataclass(frozen=True)
class Service:
    """A service of a team. `builds`: version, whether it was a success, description. `runs`: which host, by its number,
    runs which of the builds."""

    name: str
    team: str
    description: str
    builds: tuple[tuple[str, bool, str], ...]
    runs: dict[int, int] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        return {"name": self.name, "team": self.team, "description": self.description, **links(self.name)}


SERVICES = (
    Service(
        "inventory",
        FULFILMENT,
        "Stock and reservations of every warehouse",
        (
            ("20250303081200-master-7f3a91c", True, "Count returns as stock after their inspection"),
            ("20250312164500-master-b20d4e8", True, "Reserve for 30 minutes instead of 15"),
        ),
        {0: 1, 1: 1, 2: 0, 3: 0},
    ),
    Service(
        "notifications",
        FULFILMENT,
        "Order mails, delivery texts and push messages",
        (("20250306130500-master-c4417aa", True, "Send the delivery window the evening before"),),
        {1: 0},
    ),
    Service(
        "payments",
        PAYMENTS,
        "Card payments, refunds and invoices",
        (
            ("20250228110000-master-e19f0b2", True, "Refund in parts"),
            ("20250313094000-master-3dd85c6", True, "Retry a refund that the bank did not answer"),
        ),
        {0: 0, 2: 0},
    ),
)


def people(client: Client) -> None:
    """Create users, a pipeline's service account, and teams with their members."""
    known = {row["username"]: row for row in client.all("users/")}
    for username, first, last, _ in PEOPLE:
        if username not in known:
            person = {"username": username, "first_name": first, "last_name": last, "email": f"{username}@example.com"}
            client.post("users/", person)
    if PIPELINE not in known:
        client.post("users/", {"username": PIPELINE, "service": True})
    teams = {row["name"]: row["id"] for row in client.all("teams/")}
    for name, description in TEAMS.items():
        if name in teams and not known[APPROVER]["teams"]:  # of a demo from before there was this person
            client.post(f"teams/{teams[name]}/members/", {"user": APPROVER, "role": "deployer"})
        elif name not in teams:
            members = [{"user": who, "role": roles[name]} for who, *_, roles in PEOPLE if name in roles]
            members += [{"user": name, "role": "deployer"} for name in (PIPELINE, APPROVER)]
            client.post("teams/", {"name": name, "description": description, "members": members})


def pipeline(client: Client) -> Client:
    """Return a client that is the pipeline's: what it does stands in the history under its name."""
    scopes = ["read", "publish", "deploy"]
    made = client.post("tokens/", {"name": "GitLab", "scopes": scopes, "user": PIPELINE, "expires": None})
    return client.with_token(made["token"])


def host_groups(client: Client) -> None:
    known = {row["name"] for row in client.all("host-groups/")}
    for group in GROUPS:
        if group["name"] not in known:
            client.post("host-groups/", group)
