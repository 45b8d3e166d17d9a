"""`manage.py rights_table`: who may do what, as it is committed in docs/rights.md (`make rights` writes it).

Read from the rules themselves: the roles, the scopes, and what each endpoint and each page says it needs.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import BaseCommand
from django.urls import URLPattern, get_resolver

from access.callers import PERSONAL, SCOPES, granted
from access.roles import LADDER, RIGHTS
from api.auth import NEVER, Needs, needs_of
from api.v1 import api
from console.views.decorators import PageNeeds
from microservice.catalog.ownership import BUILD_FIELDS

MEANS = {
    "read": "look at services, what runs where, deployments and their output",
    "publish": "publish versions, start their builds, mark them bad",
    "deploy": "install, upgrade, revert, delete, retry, break locks, check hosts",
    "build": "change what runs commands on build machines: " + ", ".join(sorted(BUILD_FIELDS)),
    "tokens": "one's own account: make tokens and end them, end sessions; administrators also others'",
    "admin": "of a team: change its services and its members; of the system: everything",
}
# Fields that need a right of their own: (method, route, what is sent, the rights that it takes).
FIELDS = (
    ("POST", "services", ", ".join(sorted(BUILD_FIELDS)), "admin, build"),
    ("PATCH", "services/<service>", ", ".join(sorted(BUILD_FIELDS)), "admin, build"),
    ("PATCH", "teams/<id>", "name, description", "admin of the system"),
)

HEAD = """# Rights

Who may do what. This file is made by `make rights` from the rules themselves; a test fails where it is stale, and
another one (`tests/access/test_every_right.py`) tries each line of it: every endpoint and page, for every role and
kind of token, on objects of the own team, of another team and of none.

- A person has a role in each team that took them in, and with it rights on what this team owns. What another team
  owns is not there for them (404).
- Services of no team: where there is no team at all, each account deploys them. Once there is one, each account has
  `DEFAULT_ROLE` on them (none unless it is set), whatever its roles in teams. No owner of a team decides about
  services of others, neither by taking people in nor by taking them out.
- An account without any right sees its own account page, its tokens and its teams (none), and nothing else.
- Administrators have every right on everything. An owner of a team is not an administrator of the system.
- A token has of its owner's rights at that moment those that its scopes name. A token for named services has no
  right beside them.
- `build` decides which commands run on the build machines that all services share. Owners have it on their services.
  The scope `admin` includes it, but not in a token for named services: there it must be named.
- `tokens` is everybody's in a browser session, also of an account without a role. A token has it only where its scopes
  name it (`admin` does not include it); without it, it ends itself (`DELETE /tokens/<id>`) and no other.
"""
API = """
## The API

*of*: on what the right is needed. *the service*: the one that is named, or whose deployment, operation or instance
is named. *anything*: on any service; what is then listed is what the caller may see. *own*: one's own, of everyone
for administrators. *the system*: of the system as a whole, so administrators alone. *bound*: whether a token for
named services may, where the right alone is not enough.
"""
CONSOLE = """
## The console

A page is for people who are signed in, never for tokens. GET shows it, POST is what its forms send.
"""
PUBLIC = """
## Without signing in

`/healthz`, `/readyz` and `/metrics` (keep the last one inside: see nginx.conf), `/login/`, `/logout/`, `/language/`,
the scripts' words, static files, the API's description and its list of errors; and
`POST /api/v1/builds/{origin}/webhook`, which proves itself by a signature.
"""


def concerning(route: str, scope: str, owners: bool) -> str:
    """Return on what a right is needed, read from the address, whose parts name it."""
    first = route.partition("/")[0]
    if "services/<" in route or (first in ("deployments", "operations") and "<" in route):
        return "the service"
    if first == "teams" and "<" in route and (owners or scope != "admin"):
        return "the team"
    if first == "tokens" or scope == "tokens" or not scope:
        return "own"
    if owners:
        return "the team it is for"
    return "the system" if scope == "admin" else "anything"


def endpoints() -> Iterator[tuple[str, str, Needs]]:
    """Yield (route, method, what it needs) of each that has a caller."""
    for route, found in sorted(api.operations_by_route().items()):
        for method, operation in sorted(found.items()):
            needs = needs_of(operation.view_func)
            if not needs.signed:
                yield route, method, needs


def pages() -> Iterator[tuple[str, PageNeeds]]:
    """Yield (address, what it needs) of each that asks who is there."""
    for pattern in get_resolver("console.urls").url_patterns:
        if isinstance(pattern, URLPattern) and (needs := getattr(pattern.callback, "needs", None)):
            yield str(pattern.pattern), needs


def table() -> str:
    """Return the whole document, the same each time."""
    return "\n".join([HEAD, *_roles(), API, *_api(), CONSOLE, *_console(), PUBLIC]).rstrip() + "\n"


def _roles() -> Iterator[str]:
    yield "## Roles and scopes\n"
    yield from _rows(
        ["right", *LADDER, "administrator", "what it is"],
        [
            [
                f"`{scope}`",
                *("yes" if scope in RIGHTS[role] | PERSONAL else "–" for role in LADDER),
                "yes",
                MEANS[scope],
            ]
            for scope in SCOPES
        ],
    )
    yield "\nOn what the own team owns. On what another team owns: none. On what no team owns: `DEFAULT_ROLE`'s.\n"
    yield from _rows(
        ["scope of a token", "rights", "rights of a token for named services"],
        [[f"`{scope}`", *(_listed(granted([scope], bound)) for bound in (False, True))] for scope in SCOPES],
    )


def _api() -> Iterator[str]:
    fields = {(method, route): (sent, rights) for method, route, sent, rights in FIELDS}
    found = []
    for route, method, needs in endpoints():
        address = f"`/{route}`"
        of = concerning(route, needs.scope, needs.owners)
        bound = {"": "", NEVER: "no", needs.scope: ""}.get(needs.bound, f"with {needs.bound}")
        found.append([method, address, needs.scope, of, bound])
        if (method, route) in fields:
            sent, rights = fields[method, route]
            right, _, system = rights.partition(" of ")
            found.append([method, f"{address} with {sent}", right, system or of, bound])
    yield from _rows(["method", "address", "right", "of", "bound"], found)


def _console() -> Iterator[str]:
    found = []
    for address, needs in pages():
        for method in needs.methods:
            scope = needs.look if method == "GET" else needs.send
            owners = needs.owners and scope == "admin"
            of = concerning(address, scope, owners)
            if method == "GET" and of == "the team it is for":  # an empty form names none yet
                of = "anything"
            found.append([method, f"`/{address}`", scope or "signed in", of])
            if address.startswith("teams/<") and method == "POST":
                found.append([method, f"`/{address}` with name, give, take, delete", scope, "the system"])
    yield from _rows(["method", "page", "right", "of"], found)


def _listed(rights: frozenset[str]) -> str:
    return ", ".join(scope for scope in SCOPES if scope in rights)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "| --- " * len(head) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


class Command(BaseCommand):
    help = "Print who may do what (docs/rights.md), from the rules in the code."

    def handle(self, *args: object, **options: Any) -> None:
        self.stdout.write(table(), ending="")
