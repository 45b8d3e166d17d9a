"""Whether a caller may do something, as docs/rights.md says: the document alone, and nothing of the product."""

from dataclasses import dataclass, field
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "rights.md"
SCOPES = ("read", "publish", "deploy", "build", "tokens", "admin")
LADDER = ("viewer", "publisher", "deployer", "owner")


@dataclass(frozen=True)
class Line:
    """A line of the document's tables: a request, and what it needs. `rights`: all of them."""

    method: str
    address: str
    rights: tuple[str, ...]
    of: str
    bound: str = ""
    fields: str = ""  # with which fields it needs this


@dataclass(frozen=True)
class Who:
    """A caller. `scopes`: of its token, None for a session. `service`: the object that the token is bound to."""

    name: str
    roles: dict = field(default_factory=dict)  # {team: role}
    admin: bool = False
    scopes: frozenset | None = None
    service: str = ""
    known: bool = True  # recognised at all
    csrf: bool = True


def document() -> dict[str, list[list[str]]]:
    """{heading: the rows of all tables below it, as cells}."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("| ") and not line.startswith("| ---"):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def lines(heading: str) -> list[Line]:
    made = []
    for method, address, right, of, *bound in document()[heading][1:]:
        place, _, fields = address.partition(" with ")
        rights = () if right == "signed in" else tuple(right.split(", "))
        made.append(Line(method, place.strip("`"), rights, of, *bound, fields=fields))
    return made


def role_rights() -> dict[str, frozenset[str]]:
    rows = document()["Roles and scopes"]
    head = rows[0]
    return {
        role: frozenset(
            row[0].strip("`") for row in rows[1:] if len(row) == len(head) and row[head.index(role)] == "yes"
        )
        for role in LADDER
    }


def scope_rights(bound: bool) -> dict[str, frozenset[str]]:
    rows = [row for row in document()["Roles and scopes"] if len(row) == 3]
    return {row[0].strip("`"): frozenset(row[2 if bound else 1].split(", ")) for row in rows[1:]}


ROLE_RIGHTS, UNBOUND, BOUND = role_rights(), scope_rights(False), scope_rights(True)


def ceiling(who: Who) -> frozenset[str]:
    if who.scopes is None:
        return frozenset(SCOPES)
    return frozenset().union(*((BOUND if who.service else UNBOUND)[scope] for scope in who.scopes))


def on(who: Who, thing: str, default_role: str) -> frozenset[str]:
    """Return the caller's rights on what belongs to `thing`: a team's name, or "nobody" for no team."""
    if who.admin:
        return ceiling(who)
    role = default_role if thing == "nobody" else who.roles.get(thing, "")
    return ROLE_RIGHTS.get(role, frozenset()) & ceiling(who)


def anywhere(who: Who, default_role: str) -> frozenset[str]:
    own = frozenset({"tokens"}) & ceiling(who)  # of the own account, whatever the roles
    return own.union(*(on(who, thing, default_role) for thing in (*who.roles, "nobody")))


def may(who: Who, line: Line, thing: str, default_role: str) -> bool:
    """Return whether the document lets the caller do it to what belongs to `thing`."""
    if not who.known or (not who.csrf and line.method != "GET"):
        return False
    needed = set(line.rights)
    if who.service:
        if line.bound == "no" or line.of in ("the system", "the team", "the team it is for"):
            return False
        if line.bound.startswith("with "):
            needed.add(line.bound.removeprefix("with "))
        if line.of == "the service" and thing != who.service:
            return False
    if line.of in ("the service", "the team"):
        return needed <= on(who, thing, default_role)
    if line.of == "the team it is for" and thing != "nobody":
        return needed <= on(who, thing, default_role)
    if line.of in ("the system", "the team it is for"):
        return who.admin and needed <= ceiling(who)
    return needed <= anywhere(who, default_role)


def unseen(who: Who, line: Line, thing: str, default_role: str) -> bool:
    """Return whether the caller gets as far as the object, and must be told that there is none."""
    if not who.known or line.bound or line.of not in ("the service", "the team"):
        return False
    if not who.csrf or not set(line.rights) <= anywhere(who, default_role):
        return False
    return bool(who.service and thing != who.service) or not on(who, thing, default_role)
