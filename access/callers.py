"""The caller of a request: one value that views pass on, and the one place that says what a caller may do."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from .permissions import Rights

SCOPES = ("read", "publish", "deploy", "build", "tokens", "admin")
EXPLICIT = frozenset({"tokens"})  # a token has these only where its scopes name them
PERSONAL = frozenset({"tokens"})  # about the caller's own account, not about services


def granted(scopes: Iterable[str], for_named_services: bool) -> frozenset[str]:
    """Return the rights that these scopes give. admin includes all others except EXPLICIT ones and `build`.

    A token limited to some services has `build` only where it names it: the commands of a service's builds run on the
    build machines of all services.
    """
    rights = frozenset(scopes)
    if "admin" not in rights:
        return rights
    return rights | (frozenset(SCOPES) - EXPLICIT - ({"build"} if for_named_services else frozenset()))


_OF_THE_WHOLE = frozenset({"admin", "build"})  # without a service, these concern every service


@dataclass(frozen=True, slots=True)
class Caller:
    """A user who was authenticated by a session or by a token.

    Administrators have no `rights`: teams do not restrict them, and `scopes` alone decide. For everyone else `rights`
    is what their roles in teams allow, and `scopes` what they may do with services without a team.
    """

    name: str
    user_id: int | None = None
    token_id: int | None = None
    token_name: str = ""
    session_id: int | None = None  # the row of a browser session
    scopes: frozenset[str] = frozenset()
    services: frozenset[int] = frozenset()  # empty: every service
    address: str = ""
    request_id: str = ""
    # Whether the session's password was entered within the last minutes. Tokens have scopes instead: always fresh.
    is_fresh: bool = True
    rights: Rights | None = field(default=None, compare=False, repr=False)

    def may(self, scope: str, service_id: int | None = None) -> bool:
        """Return whether the caller has the right `scope`, on this service where one is given. See `granted`."""
        if self.services and service_id not in self.services and (service_id is not None or scope in _OF_THE_WHOLE):
            return False  # a token limited to some services changes nothing else
        if service_id is not None and self.rights is not None:
            return scope in self.rights.on_service(service_id)
        return self._holds(scope)

    def may_anywhere(self, scope: str) -> bool:
        """Return whether the caller has the right `scope` on anything. Which: `may`."""
        return self._holds(scope) or (self.rights is not None and scope in self.rights.anywhere)

    def may_enter(self, scope: str) -> bool:
        """Return whether the caller may use an endpoint that requires `scope`, before its object is known.

        A role in a team is not enough to administer the whole system. All other endpoints check their object later.
        """
        return self.may(scope) if scope == "admin" else self.may_anywhere(scope)

    def _holds(self, scope: str) -> bool:
        return scope in granted(self.scopes, bool(self.services))

    def owns(self, team_id: int) -> bool:
        """Return whether the caller may change this team's services and members."""
        return self.may_for_team("admin", team_id)

    def may_for_team(self, scope: str, team_id: int | None) -> bool:
        """Return whether the caller has the right `scope` on what this team owns; None: on what no team owns."""
        if self.services:  # a token limited to some services
            return False
        return self.may(scope) if self.rights is None else scope in self.rights.in_team(team_id)

    def sees(self, service_id: int, team_id: int | None) -> bool:
        """Return whether the caller may read a service whose team is known. Without queries."""
        if self.services and service_id not in self.services:
            return False
        return self._holds("read") if self.rights is None else "read" in self.rights.in_team(team_id)

    @property
    def sees_hosts(self) -> bool:
        """Whether the caller may read hosts. A token limited to some services may where it can deploy to them."""
        return self.may_anywhere("read") and (not self.services or self.may_anywhere("deploy"))

    @property
    def permission_key(self) -> Hashable:
        """Everything that decides what the caller may see and do: callers with equal keys see equal pages."""
        return self.scopes, self.services, self.rights and self.rights.permission_key

    def anonymous(self) -> "Caller":
        """Return a caller with the same rights and no identity. Which team owns which service is read anew."""
        return Caller(
            name="", scopes=self.scopes, services=self.services, rights=self.rights and self.rights.without_cache()
        )

    @property
    def is_person(self) -> bool:
        """Whether this is a user in a browser session, and not a token or an automatic rule."""
        return self.user_id is not None and self.token_id is None

    @property
    def teams(self) -> frozenset[int] | None:
        """The teams whose services the caller may see; None: all. Services without a team: `sees_unowned`."""
        return None if self.rights is None else frozenset(self.rights.roles)

    @property
    def sees_unowned(self) -> bool:
        """Whether the caller may see services without a team."""
        return self.rights is None or bool(self.rights.on_unowned)

    @property
    def account(self) -> str:
        """The account that limits count by: all tokens and sessions of a user are one."""
        return f"user:{self.user_id}"

    @property
    def key(self) -> str:
        """The namespace of idempotency keys: one for each token, and one for all sessions of a user."""
        return f"token:{self.token_id}" if self.token_id else f"user:{self.user_id}"


def automation(name: str) -> Caller:
    """Return the caller of an automatic rule, which nobody asked for at that moment."""
    return Caller(name=name, scopes=frozenset({"read", "deploy"}))


SYSTEM = Caller(name="system", scopes=frozenset(SCOPES))
