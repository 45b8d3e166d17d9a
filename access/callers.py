"""Who is asking: one value that views hand to whatever decides, and the one place that says what they may do."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from .permissions import Rights

SCOPES = ("read", "publish", "deploy", "build", "tokens", "admin")
EXPLICIT = frozenset({"tokens"})  # what a token has only where its scopes name it
PERSONAL = frozenset({"tokens"})  # what concerns the caller's own account, and no team's services


def granted(scopes: Iterable[str], for_named_services: bool) -> frozenset[str]:
    """The rights that these scopes give. admin includes all others, with two exceptions: what is EXPLICIT, and `build`.

    A token for named services has `build` only where it names it: whoever may change what a service's builds run has
    more than that service, because the commands run on the build machines of all of them.
    """
    given = frozenset(scopes)
    if "admin" not in given:
        return given
    return given | (frozenset(SCOPES) - EXPLICIT - ({"build"} if for_named_services else frozenset()))


_OF_THE_WHOLE = frozenset({"admin", "build"})  # without a service named, these are about every service


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was recognised, by a session or by a token.

    Administrators have no `rights`: no team is in their way, and `scopes` alone decide. Anybody else has in `rights`
    what their roles in teams let them do, and in `scopes` what they may do with services of no team.
    """

    name: str
    user_id: int | None = None
    token_id: int | None = None
    token_name: str = ""
    session_id: int | None = None  # of a browser session's row
    scopes: frozenset[str] = frozenset()
    services: frozenset[int] = frozenset()  # empty: every service
    address: str = ""
    request_id: str = ""
    # Whether a session's password was given in the last minutes. Tokens have scopes for that, and are always fresh.
    is_fresh: bool = True
    rights: Rights | None = field(default=None, compare=False, repr=False)

    def may(self, scope: str, service_id: int | None = None) -> bool:
        """Whether the caller has the right `scope`, for this service where one is named. `granted` says what includes
        what."""
        if self.services and service_id not in self.services and (service_id is not None or scope in _OF_THE_WHOLE):
            return False  # a token for named services changes nothing beside them
        if service_id is not None and self.rights is not None:
            return scope in self.rights.on_service(service_id)
        return self._holds(scope)

    def may_anywhere(self, scope: str) -> bool:
        """Whether there is anything at all that the caller may do with the right `scope`. What exactly: `may`."""
        return self._holds(scope) or (self.rights is not None and scope in self.rights.anywhere)

    def may_enter(self, scope: str) -> bool:
        """Whether the caller passes a door that needs `scope`, before it is known which object is asked for.

        No team's role is enough to administrate the system as a whole. Behind all other doors it is asked: of this one?
        """
        return self.may(scope) if scope == "admin" else self.may_anywhere(scope)

    def _holds(self, scope: str) -> bool:
        return scope in granted(self.scopes, bool(self.services))

    def owns(self, team_id: int) -> bool:
        """Whether the caller may change this team's services and members."""
        return self.may_for_team("admin", team_id)

    def may_for_team(self, scope: str, team_id: int | None) -> bool:
        """Whether the caller has the right `scope` on whatever this team owns; None: on what no team owns."""
        if self.services:  # a token for named services is for nothing beside them
            return False
        return self.may(scope) if self.rights is None else scope in self.rights.in_team(team_id)

    def sees(self, service_id: int, team_id: int | None) -> bool:
        """Whether the caller may look at a service of which is known whose it is. Asks nobody."""
        if self.services and service_id not in self.services:
            return False
        return self._holds("read") if self.rights is None else "read" in self.rights.in_team(team_id)

    @property
    def sees_hosts(self) -> bool:
        """Whether the caller may look at hosts at all. A token for named services may where it installs on them."""
        return self.may_anywhere("read") and (not self.services or self.may_anywhere("deploy"))

    @property
    def permission_key(self) -> Hashable:
        """All that decides what one may see and do: who stands the same may be shown the same."""
        return self.scopes, self.services, self.rights and self.rights.permission_key

    def anonymous(self) -> "Caller":
        """Somebody who may do the same, and is nobody in particular. Which services are whose is read anew."""
        return Caller(
            name="", scopes=self.scopes, services=self.services, rights=self.rights and self.rights.without_cache()
        )

    @property
    def is_person(self) -> bool:
        """Whether somebody sits there: a browser session, and no token, no rule that acts by itself."""
        return self.user_id is not None and self.token_id is None

    @property
    def teams(self) -> frozenset[int] | None:
        """The teams whose services the caller may see; None: all. Those of no team: `sees_unowned`."""
        return None if self.rights is None else frozenset(self.rights.roles)

    @property
    def sees_unowned(self) -> bool:
        """Whether the caller may see services of no team."""
        return self.rights is None or bool(self.rights.on_unowned)

    @property
    def account(self) -> str:
        """Names who is behind it among those who take turns: many tokens of one person are one."""
        return f"user:{self.user_id}"

    @property
    def key(self) -> str:
        """Names the caller among idempotency keys: a token has its own, a person has one for all sessions."""
        return f"token:{self.token_id}" if self.token_id else f"user:{self.user_id}"


SYSTEM = Caller(name="system", scopes=frozenset(SCOPES))
