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
    "read": "view services, what runs where, deployments and their output",
    "publish": "publish versions, start their builds, mark them bad",
    "deploy": "install, upgrade, revert, delete, retry, break locks, check hosts",
    "build": "change the build fields, which run commands on build machines: " + ", ".join(sorted(BUILD_FIELDS)),
    "tokens": "create and revoke the account's own tokens, end its sessions; administrators also those of others",
    "admin": "on a team: change its services and members; on the system: everything",
}
# Fields that need a right of their own: (method, route, what is sent, the rights that it takes).
FIELDS = (
    ("POST", "services", ", ".join(sorted(BUILD_FIELDS)), "admin, build"),
    ("PATCH", "services/<service>", ", ".join(sorted(BUILD_FIELDS)), "admin, build"),
    ("PATCH", "teams/<id>", "name, description", "admin of the system"),
)

HEAD = """# Rights

Who may do what. `make rights` generates this page from the rules in the code, and a test fails when it is out of date.
`tests/access/test_every_right.py` tries each line: every endpoint and page, for every role and kind of token, on
objects of the caller's team, of another team and of no team.

- A person has a role in each team they are a member of, and its rights on what that team owns. What another team owns
  does not exist for them (404).
- Services without a team: while there are no teams, every account deploys them. As soon as there is one, every account
  has `DEFAULT_ROLE` on them (none unless it is set), whatever its roles in teams. Owners of a team decide nothing about
  these services.
- An account without any right sees its own account page, its tokens and its (empty) list of teams, and nothing else.
- Administrators have every right on everything. The owner of a team is not an administrator of the system.
- A token has those of its owner's current rights that its scopes name. A token for named services has no rights
  outside them.
- `build` decides which commands run on the build machines that all services share. Owners have it on their services.
  The scope `admin` includes it, except in a token for named services, which must name it.
- In a browser session everyone has `tokens`, also an account without a role. A token has it only where its scopes name
  it (`admin` does not include it); without it, a token can revoke itself (`DELETE /tokens/<id>`) and no other.
"""
API = """
## The API

*of*: what the right is needed on. *the service*: the one that is named, or whose deployment, operation or instance is
named; of a train, all of its services. *anything*: any service; a list then holds what the caller may see. *own*: the
caller's own, and everyone's for administrators. *the system*: the whole system, so only administrators. *bound*:
whether a token for named services may, where the right alone does not decide it.
"""
CONSOLE = """
## The console

Pages are for signed-in people, never for tokens. GET shows a page, POST submits its forms.
"""
PUBLIC = """
## Without signing in

`/healthz`, `/readyz` and `/metrics` (do not expose the last one: see nginx.conf), `/login/`, `/logout/`, `/language/`,
`/theme/`, the scripts' words, static files, the API's description and its list of error codes; and
`POST /api/v1/builds/{origin}/webhook`, which is authenticated by a signature.
"""


def concerning(route: str, scope: str, owners: bool) -> str:
    """Return on what a right is needed, read from the address, whose parts name it."""
    first = route.partition("/")[0]
    if scope == "admin" and first == "deployments":
        return "the system"
    if "services/<" in route or (first in ("deployments", "operations", "trains") and "<" in route):
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
    for route, methods in sorted(api.operations_by_route().items()):
        for method, operation in sorted(methods.items()):
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
    yield "\nThese hold on what the team of the role owns. On what another team owns there are none, and on what no"
    yield "team owns those of `DEFAULT_ROLE`.\n"
    yield from _rows(
        ["scope of a token", "rights", "rights of a token for named services"],
        [[f"`{scope}`", *(_listed(granted([scope], bound)) for bound in (False, True))] for scope in SCOPES],
    )


def _api() -> Iterator[str]:
    fields = {(method, route): (sent, rights) for method, route, sent, rights in FIELDS}
    rows = []
    for route, method, needs in endpoints():
        address = f"`/{route}`"
        of = concerning(route, needs.scope, needs.owners)
        bound = {"": "", NEVER: "no", needs.scope: ""}.get(needs.bound, f"with {needs.bound}")
        rows.append([method, address, needs.scope, of, bound])
        if (method, route) in fields:
            sent, rights = fields[method, route]
            right, _, system = rights.partition(" of ")
            rows.append([method, f"{address} with {sent}", right, system or of, bound])
    yield from _rows(["method", "address", "right", "of", "bound"], rows)


def _console() -> Iterator[str]:
    rows = []
    for address, needs in pages():
        for method in needs.methods:
            scope = needs.look if method == "GET" else needs.send
            owners = needs.owners and scope == "admin"
            of = concerning(address, scope, owners)
            if method == "GET" and of == "the team it is for":  # an empty form names none yet
                of = "anything"
            rows.append([method, f"`/{address}`", scope or "signed in", of])
            if address.startswith("teams/<") and method == "POST":
                rows.append([method, f"`/{address}` with name, give, take, delete", scope, "the system"])
    yield from _rows(["method", "page", "right", "of"], rows)


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
