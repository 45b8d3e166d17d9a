"""What a user may do by their roles in teams: looked up once a request, however many services it concerns."""

from collections.abc import Hashable, Mapping
from typing import Protocol

from .roles import RIGHTS, unowned_role


class Owners(Protocol):
    def __call__(self, service_id: int | None = None) -> dict[int, int | None]:
        """Return {service id: id of its team, or None} of this service or of all. One query."""


def _no_services(service_id: int | None = None) -> dict[int, int | None]:
    return {}


owners: Owners = _no_services  # the domain, a layer above, sets its query here at startup


class Rights:
    """A user's roles, {team id: role}, limited to `ceiling`: the scopes of the token in use, or all.

    `any_team`: whether there is any team, which decides about services without a team (`access.roles.unowned_role`).
    """

    def __init__(self, roles: Mapping[int, str], ceiling: frozenset[str], any_team: bool):
        self.roles, self.any_team = dict(roles), any_team
        self._ceiling = ceiling
        unowned = unowned_role(any_team)
        self.on_unowned = RIGHTS[unowned] & ceiling if unowned else frozenset()
        self.anywhere = self.on_unowned.union(*(self.in_team(team) for team in self.roles))
        self._team_of: dict[int, int | None] | None = None

    @property
    def permission_key(self) -> Hashable:
        return frozenset(self.roles.items()), self._ceiling, self.on_unowned

    def without_cache(self) -> "Rights":
        """Return the same roles without the cached owners of services."""
        return Rights(self.roles, self._ceiling, self.any_team)

    def in_team(self, team_id: int | None) -> frozenset[str]:
        """Return the rights on what this team owns; None: on what no team owns."""
        if team_id is None:
            return self.on_unowned
        role = self.roles.get(team_id)
        return RIGHTS[role] & self._ceiling if role else frozenset()

    def on_service(self, service_id: int) -> frozenset[str]:
        """Return the rights on a service; none for one that does not exist.

        One query for all services together, at the first call; one more for a service that is newer than that.
        """
        if self._team_of is None:
            self._team_of = owners()
        if service_id not in self._team_of:
            self._team_of.update(owners(service_id))
            if service_id not in self._team_of:
                return frozenset()
        return self.in_team(self._team_of[service_id])
